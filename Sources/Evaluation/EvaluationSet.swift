import Foundation
import Images
import Shards
import Support

/// The images of a benchmark with their truths, in a fixed order. A bad image is an error here, never skipped.
public struct EvaluationSet: Sendable {
    public struct Item: Sendable {
        public let key: String
        /// One class, several in a multi-label set, none in retrieval.
        public let classes: [Int]
        public let captions: [String]
        let load: @Sendable () throws -> any Raster

        public func image() throws -> any Raster { try load() }
    }

    public let items: [Item]
    /// Images that the protocol leaves out.
    public let skipped: Int

    /// Shards (a file, a brace pattern or a folder of tars), an ImageFolder (class folders in sorted order),
    /// or a COCO captions JSON or a Karpathy split with `images` as its folder.
    ///
    /// - Parameter conversion: in which form images are resized
    /// - Throws: `Failure` naming the file that is missing or damaged.
    public init(
        _ path: String, images: String? = nil, task: EvaluationTask, conversion: ImageConversion = .rgbFirst
    ) throws {
        var items: [Item]
        if path.hasSuffix(".json") {
            items = try Self.coco(path, images: images, conversion)
        } else if Self.isImageFolder(path) {
            items = try Self.imageFolder(path, classes: task.labels == nil ? task.classNames.count : 0, conversion)
        } else {
            items = try Self.shards(path, task, conversion)
        }
        let count = items.count
        if let labels = task.labels { items = try Self.labelled(items, labels, path) }
        skipped = count - items.count
        self.items = items
        guard !items.isEmpty else { throw Failure(.badData, path, "holds no samples for \(task.name)") }
        for item in items {
            switch task.kind {
            case .classification:
                guard !item.classes.isEmpty else {
                    throw Failure(.badData, path, "\(item.key) has no class, \(task.name) is a classification task")
                }
                if let wrong = item.classes.first(where: { $0 >= task.classNames.count }) {
                    throw Failure(
                        .badData, item.key, "class \(wrong) is outside of the task's \(task.classNames.count) classes")
                }
            case .retrieval:
                guard item.captions.isEmpty else { continue }
                throw Failure(.badData, path, "\(item.key) has no captions, \(task.name) is a retrieval task")
            }
        }
    }

    private static func shards(_ path: String, _ task: EvaluationTask, _ conversion: ImageConversion) throws -> [Item] {
        try expandShards(path).flatMap { file -> [Item] in
            let shard = try Shard(file)
            return try shard.samples.map { sample in
                @Sendable func fail(_ fault: SampleFault) -> Failure {
                    Failure(
                        .badData, "\(file): \(sample.key)", fault.description,
                        remedy: "An evaluation leaves nothing out: mend the sample")
                }
                do throws(SampleFault) {
                    let captions =
                        task.kind == .retrieval
                        ? try shard.captions(sample, SampleFields(captionKey: task.captionKey)) : []
                    let classes =
                        task.kind == .classification && task.labels == nil ? [try shard.classIndex(sample)] : []
                    return Item(key: sample.key, classes: classes, captions: captions) {
                        do throws(SampleFault) { return try shard.image(sample, conversion) } catch {
                            throw fail(error)
                        }
                    }
                } catch { throw fail(error) }
            }
        }
    }

    /// The classes by the number that ends each image's name; images without any are left out.
    private static func labelled(_ items: [Item], _ labels: [[Int]], _ path: String) throws -> [Item] {
        try items.compactMap { item in
            let digits = String(item.key.reversed().prefix { $0.isNumber }.reversed())
            guard let number = Int(digits), (1...labels.count).contains(number) else {
                throw Failure(
                    .badData, path, "\(item.key) does not end in a number up to \(labels.count), which the labels go by"
                )
            }
            guard !labels[number - 1].isEmpty else { return nil }
            return Item(key: item.key, classes: labels[number - 1], captions: [], load: item.load)
        }
    }

    private static func isImageFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        guard Files.exists(path, isDirectory: &isFolder), isFolder.boolValue else {
            return false
        }
        let names = (try? Files.names(in: path)) ?? []
        return !names.contains { $0.hasSuffix(".tar") || $0.hasSuffix(".tar.gz") || $0.hasSuffix(".tgz") }
    }

    private static func imageFolder(_ path: String, classes: Int, _ conversion: ImageConversion) throws -> [Item] {
        let manager = FileManager.default
        var folders = try manager.contentsOfDirectory(atPath: path).sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        .filter { name in
            var isFolder: ObjCBool = false
            return manager.fileExists(atPath: path + "/" + name, isDirectory: &isFolder) && isFolder.boolValue
        }
        // Folders named by numbers, as ImageNet-V2's, are classes by number.
        let numbers = folders.compactMap { Int($0) }
        if numbers.count == folders.count { folders = zip(numbers, folders).sorted { $0.0 < $1.0 }.map(\.1) }
        guard classes == 0 || folders.count == classes else {
            throw Failure(.badData, path, "has \(folders.count) class folders, the task has \(classes) classes")
        }
        // A folder without class folders is one of images alone, whose classes come from elsewhere.
        if folders.isEmpty, classes == 0 { folders = ["."] }
        return try folders.enumerated().flatMap { index, folder in
            try manager.contentsOfDirectory(atPath: path + "/" + folder).sorted {
                $0.utf8.lexicographicallyPrecedes($1.utf8)
            }
            .filter { ["jpg", "jpeg", "png", "webp"].contains(($0 as NSString).pathExtension.lowercased()) }
            .map { name in
                let file = "\(path)/\(folder)/\(name)"
                return Item(
                    key: "\(folder)/\((name as NSString).deletingPathExtension)", classes: [index], captions: []
                ) {
                    try image(file, conversion)
                }
            }
        }
    }

    /// COCO captions: {"images": [{id, file_name}], "annotations": [{image_id, caption}]}, images in their
    /// order, captions in the order of the annotations.
    private static func coco(_ path: String, images folder: String?, _ conversion: ImageConversion) throws -> [Item] {
        let folder = folder ?? (path as NSString).deletingLastPathComponent
        return try COCOCaptions(path).images.map { image in
            Item(key: (image.file as NSString).deletingPathExtension, classes: [], captions: image.captions) {
                try self.image(folder + "/" + image.file, conversion)
            }
        }
    }

    private static func image(_ file: String, _ conversion: ImageConversion) throws -> any Raster {
        let data = try readFile(file)
        do throws(ImageFault) { return try conversion.open(data) } catch {
            throw Failure(.badData, file, error.description, remedy: "An evaluation leaves nothing out: mend the image")
        }
    }
}
