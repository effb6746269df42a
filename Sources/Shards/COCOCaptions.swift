import Foundation
import Support
import Tokenization

/// A COCO captions file: {"images": [{id, file_name}], "annotations": [{image_id, caption}]}, plain or gzip.
/// Images keep their order, captions the order of the annotations. Or a Karpathy split: {"images": [{filename, filepath,
/// split, sentences: [{raw}]}]}.
package struct COCOCaptions: Sendable {
    package struct Image: Sendable {
        package let file: String
        package let captions: [String]
    }

    /// Those with captions.
    package let images: [Image]
    /// Images that have no captions.
    package let withoutCaptions: Int
    /// The first of these.
    package let firstWithout: String?
    /// What else is left out: empty captions, captions of no image, images listed twice.
    package let leftOut: FaultTally
    /// The part that was taken of a Karpathy split, and what was not: "train (not taken: restval (30504 images))". nil for
    /// COCO's own form.
    package let split: String?

    /// - Parameter split: the parts of a Karpathy split to take, joined by "+"; nil refuses such a file
    /// - Throws: `Failure(.badData)` naming what is missing, `Failure(.usage)` for a split that is not there.
    package init(_ path: String, split: String?) throws {
        let json = try JSON(parsing: Gzip.contents(of: path, limit: 4 << 30), path: path)
        guard let images = json["images"]?.array else {
            throw Failure(.badData, path, "has no images", remedy: "A COCO captions file is needed")
        }
        let isKarpathy = images.contains { $0["sentences"] != nil }
        var leftOut = FaultTally()
        var found: [Image]
        if isKarpathy {
            (found, self.split) = try Self.karpathy(images, split, path)
        } else {
            guard split == nil || split == "test" else {
                throw Failure(.usage, path, "has no splits: it is no Karpathy file", remedy: "Leave --split out")
            }
            (found, self.split) = (try Self.coco(images, json["annotations"]?.array, &leftOut, path), nil)
        }
        found = found.map { image in
            let captions = image.captions.filter { !Clean.trimmed($0).isEmpty }
            for _ in captions.count..<image.captions.count { leftOut.add("empty caption", example: image.file) }
            return Image(file: image.file, captions: captions)
        }
        self.images = found.filter { !$0.captions.isEmpty }
        withoutCaptions = found.count - self.images.count
        firstWithout = found.first { $0.captions.isEmpty }?.file
        self.leftOut = leftOut
    }

    private static func karpathy(_ images: [JSON], _ wanted: String?, _ path: String) throws -> ([Image], split: String)
    {
        let counts = images.reduce(into: [String: Int]()) { $0[$1["split"]?.string ?? "(none)", default: 0] += 1 }
        func list(_ names: some Sequence<String>) -> String {
            names.sorted().map { "\($0) (\(counts[$0] ?? 0) images)" }.joined(separator: ", ")
        }
        let there = list(counts.keys)
        guard let wanted else {
            throw Failure(
                .usage, path, "is a Karpathy file with the splits \(there)",
                remedy: "Choose with --split: train+restval for training, val or test to evaluate")
        }
        let names = wanted.split { $0 == "+" || $0 == "," }.map(String.init)
        if let unknown = names.first(where: { counts[$0] == nil }) ?? (names.isEmpty ? wanted : nil) {
            throw Failure(.usage, path, "has no split \"\(unknown)\"; it has \(there)")
        }
        let others = counts.keys.filter { !names.contains($0) }
        let taken = try images.filter { names.contains($0["split"]?.string ?? "(none)") }.map { image in
            guard let file = image["filename"]?.string else {
                throw Failure(.badData, path, "an image has no filename")
            }
            return Image(
                file: image["filepath"]?.string.map { $0 + "/" + file } ?? file,
                captions: (image["sentences"]?.array ?? []).compactMap { $0["raw"]?.string })
        }
        return (taken, wanted + (others.isEmpty ? "" : " (not taken: \(list(others)))"))
    }

    private static func coco(
        _ images: [JSON], _ annotations: [JSON]?, _ leftOut: inout FaultTally, _ path: String
    ) throws -> [Image] {
        guard let annotations else {
            throw Failure(.badData, path, "has no annotations", remedy: "A COCO captions file is needed")
        }
        /// Numbers in COCO, texts in some sets made in its form.
        func id(_ json: JSON?) -> String? { json?.string ?? json?.integer.map { "\($0)" } }
        var captions: [String: [String]] = [:]
        for (index, annotation) in annotations.enumerated() {
            guard let image = id(annotation["image_id"]) else {
                throw Failure(.badData, path, "annotations[\(index)] has no image_id")
            }
            guard let caption = annotation["caption"]?.string else {
                leftOut.add("annotation without a caption", example: "image_id \(image)")
                continue
            }
            captions[image, default: []].append(caption)
        }
        var seen: [String: String] = [:]
        var found: [Image] = []
        for (index, image) in images.enumerated() {
            guard let id = id(image["id"]), let file = image["file_name"]?.string else {
                throw Failure(.badData, path, "images[\(index)] has no id or file_name")
            }
            if let first = seen[id] {
                guard first.isSameName(as: file) else {
                    throw Failure(.badData, path, "the id \(id) stands for two images, \(first) and \(file)")
                }
                leftOut.add("image listed twice", example: file)
                continue
            }
            seen[id] = file
            found.append(Image(file: file, captions: captions.removeValue(forKey: id) ?? []))
        }
        for (id, texts) in captions.sorted(by: { $0.key < $1.key }) {
            for _ in texts { leftOut.add("caption of no image", example: "image_id \(id)") }
        }
        return found
    }
}
