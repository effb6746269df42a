import Foundation
package import Images
import Shards
import Support

/// The images of a benchmark with their truths, in a fixed order. A bad image is an error here, never skipped.
package struct EvaluationSet: Sendable {
    package struct Item: Sendable {
        package let key: String
        /// One class, several in a multi-label set, none in retrieval.
        package let classes: [Int]
        package let captions: [String]
        let load: @Sendable () throws -> any Raster

        package func image() throws -> any Raster { try load() }
    }

    package let items: [Item]
    /// Images that the protocol leaves out, and those of a COCO file without captions.
    package let skipped: Int
    /// How the data were read, where a person should know: the pairing of classes, what was passed over or left out.
    package let notes: [String]

    /// Shards (a file, a brace pattern or a folder of tars), an ImageFolder (class folders in sorted order),
    /// or a COCO captions JSON or a Karpathy split with `images` as its folder.
    ///
    /// - Parameters:
    ///   - conversion: in which form images are resized
    ///   - split: of a Karpathy split; by default the one that evaluations use, test
    /// - Throws: `Failure` naming the file that is missing or damaged.
    package init(
        _ path: String, images: String? = nil, _ request: SetRequest, conversion: ImageConversion = .rgbFirst,
        split: String? = nil
    ) throws {
        var items: [Item]
        var notes: [String] = []
        var withoutCaptions = 0
        if path.hasSuffix(".json") || path.hasSuffix(".json.gz") {
            let file = try COCOCaptions(path, split: split ?? "test")
            withoutCaptions = file.withoutCaptions
            if let split = file.split { notes.append("\(path): split \(split)") }
            if file.leftOut.total > 0 { notes.append("\(path): left out: \(file.leftOut.summary)") }
            if withoutCaptions > 0 { notes.append("\(path): \(withoutCaptions) images without captions are left out") }
            items = Self.coco(file, in: images ?? Files.parent(of: path), conversion)
        } else if Files.isFolder(path), case let files = try ImageFiles(path), !files.areShards {
            items = try Self.imageFolder(files, request, conversion, &notes)
        } else {
            items = try Self.shards(path, request, conversion, &notes)
        }
        let count = items.count
        if let labels = request.classes?.labels { items = try Self.labelled(items, labels, path) }
        if items.count < count { notes.append("\(path): \(count - items.count) images without a label are left out") }
        skipped = count - items.count + withoutCaptions
        self.items = items
        let occurring = Set(items.flatMap(\.classes)).count
        if let classes = request.classes?.names, occurring * 2 < classes.count {
            notes.append(
                "WARNING: only \(occurring) of the task's \(classes.count) classes occur; "
                    + "answers are still chosen among all of them")
        }
        self.notes = notes
        guard !items.isEmpty else { throw Failure(.badData, path, "holds no samples for \(request.name)") }
        for item in items { try Self.check(item, request, path) }
    }

    /// - Throws: `Failure(.badData)` for an item that lacks what is asked for
    private static func check(_ item: Item, _ request: SetRequest, _ path: String) throws {
        if let classes = request.classes?.names {
            guard !item.classes.isEmpty else {
                throw Failure(.badData, path, "\(item.key) has no class, \(request.name) is a classification task")
            }
            if let wrong = item.classes.first(where: { $0 >= classes.count }) {
                throw Failure(
                    .badData, "\(path): \(item.key)",
                    "class \(wrong) is outside of the task's \(classes.count) classes")
            }
        }
        if request.captions != nil, item.captions.isEmpty {
            throw Failure(.badData, path, "\(item.key) has no captions, \(request.name) is a retrieval task")
        }
    }

    private static func shards(
        _ path: String, _ request: SetRequest, _ conversion: ImageConversion, _ notes: inout [String]
    ) throws -> [Item] {
        var items: [Item] = []
        for shard in try Shard.open(expandShards(path)) {
            notes += shard.notes.map { "\(shard.path): \($0)" }
            let open = try shard.open()
            for index in 0..<shard.count { items.append(try item(open, index, of: shard, request, conversion)) }
        }
        return items
    }

    private static func item(
        _ open: OpenShard, _ index: Int, of shard: Shard, _ request: SetRequest, _ conversion: ImageConversion
    ) throws -> Item {
        var key = "sample \(index)"
        @Sendable func failure(_ fault: SampleFault, _ key: String) -> Failure {
            Failure(
                .badData, "\(shard.path): \(key)", fault.description,
                remedy: "An evaluation leaves nothing out: mend the sample")
        }
        do throws(SampleFault) {
            let sample = try open.sample(index)
            key = sample.key
            let fields = request.captions.map { SampleFields(captionKey: $0.key, form: $0.form) }
            let captions = if let fields { try sample.captions(fields) } else { [String]() }
            let classes = request.classes.map { $0.labels == nil } == true ? [try sample.classIndex()] : []
            return Item(key: key, classes: classes, captions: captions) { [key] in
                do throws(SampleFault) { return try shard.sample(index).image(conversion) } catch {
                    throw failure(error, key)
                }
            }
        } catch { throw failure(error, key) }
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

    /// Class folders, as torchvision's ImageFolder has them: every image below one belongs to its class.
    private static func imageFolder(
        _ images: ImageFiles, _ request: SetRequest, _ conversion: ImageConversion, _ notes: inout [String]
    ) throws -> [Item] {
        if let note = images.note { notes.append(note) }
        let path = images.folder
        func item(_ file: String, _ key: String, _ classes: [Int]) -> Item {
            Item(key: key, classes: classes, captions: []) {
                try ImageFiles.open(path + "/" + file, conversion, remedy: Self.mend)
            }
        }
        var byFolder: [NameKey: [String]] = [:]
        var loose: [String] = []
        for file in images.files {
            if let slash = file.utf8.firstIndex(of: UInt8(ascii: "/")) {
                byFolder[NameKey(String(file[..<slash])), default: []].append(file)
            } else {
                loose.append(file)
            }
        }
        func items(in folder: String, _ classes: [Int]) -> [Item] {
            (byFolder[NameKey(folder)] ?? []).map { item($0, Files.withoutSuffix($0), classes) }
        }
        let folders = try Files.names(in: path).filter { !$0.hasPrefix(".") && Files.isFolder(path + "/" + $0) }
        guard let classes = request.classes, classes.labels == nil else {
            // Classes come from elsewhere.
            return loose.map { item($0, "./" + Files.withoutSuffix($0), []) } + folders.flatMap { items(in: $0, [0]) }
        }
        if !loose.isEmpty {
            notes.append("\(path): \(loose.count) images that stand in no class folder are passed over")
        }
        let pairing = try ClassFolders(folders, classNames: classes.names, wordNet: classes.wordNetIDs, path: path)
        notes.append("\(path): \(pairing.note)")
        let empty = folders.filter { byFolder[NameKey($0)] == nil }
        guard empty.isEmpty else {
            throw Failure(
                .badData, path,
                "class folders without an image: \(empty.prefix(5).map(\.shownName).joined(separator: ", "))"
                    + (empty.count > 5 ? ", ... (\(empty.count))" : ""))
        }
        // Folders named by numbers go by their numbers.
        let order = folders.indices.sorted { a, b in
            guard let first = Int(folders[a]), let second = Int(folders[b]) else { return a < b }
            return (first, a) < (second, b)
        }
        let isNumbered = folders.allSatisfy { Int($0) != nil }
        return (isNumbered ? order : Array(folders.indices)).flatMap { items(in: folders[$0], [pairing.classes[$0]]) }
    }

    private static let mend = "An evaluation leaves nothing out: mend the image"

    /// COCO captions: images in their order, captions in the order of the annotations.
    private static func coco(_ file: COCOCaptions, in folder: String, _ conversion: ImageConversion) -> [Item] {
        file.images.map { image in
            Item(key: Files.withoutSuffix(image.file), classes: [], captions: image.captions) {
                try ImageFiles.open((folder.isEmpty ? "." : folder) + "/" + image.file, conversion, remedy: mend)
            }
        }
    }
}

extension EvaluationSet {
    /// A thumbnail, longest side 96 pixels, as base64 JPEG.
    func thumbnail(_ index: Int) throws -> String {
        let image = try items[index].image().rgb
        let scale = 96 / Double(max(image.width, image.height))
        func side(_ length: Int) -> Int { max(1, Int(Double(length) * scale)) }
        return image.resized(width: side(image.width), height: side(image.height), .bicubic).jpeg(quality: 82)
            .base64EncodedString()
    }

    /// Evenly spaced samples.
    func spread(_ count: Int) -> [Int] {
        (0..<min(count, items.count)).map { $0 * items.count / min(count, items.count) }
    }
}
