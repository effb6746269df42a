import Foundation
import Support

/// A COCO captions file: {"images": [{id, file_name}], "annotations": [{image_id, caption}]}, plain or gzip.
/// Images keep their order, captions the order of the annotations. Or a Karpathy split: {"images": [{filename, filepath,
/// split, sentences: [{raw}]}]}, of which the test split is read.
public struct COCOCaptions: Sendable {
    public struct Image: Sendable {
        public let file: String
        public let captions: [String]
    }

    public let images: [Image]

    /// - Throws: `Failure(.badData)` naming what is missing.
    public init(_ path: String) throws {
        let data = try readFile(path)
        let json = try JSON(parsing: Gzip.isGzip(data) ? Gzip.inflate(data, path: path) : data, path: path)
        if let images = json["images"]?.array, images.first?["sentences"] != nil {
            self.images = try images.filter { $0["split"]?.string == "test" }.map { image in
                let captions = (image["sentences"]?.array ?? []).compactMap { $0["raw"]?.string }
                guard let file = image["filename"]?.string, !captions.isEmpty else {
                    throw Failure(.badData, path, "an image has no filename or no sentences")
                }
                return Image(file: image["filepath"]?.string.map { $0 + "/" + file } ?? file, captions: captions)
            }
            return
        }
        guard let images = json["images"]?.array, let annotations = json["annotations"]?.array else {
            throw Failure(.badData, path, "has no images or annotations", remedy: "A COCO captions file is needed")
        }
        var captions: [Int: [String]] = [:]
        for annotation in annotations {
            guard let image = annotation["image_id"]?.integer, let caption = annotation["caption"]?.string else {
                throw Failure(.badData, path, "an annotation has no image_id or caption")
            }
            captions[image, default: []].append(caption)
        }
        self.images = try images.map { image in
            guard let id = image["id"]?.integer, let file = image["file_name"]?.string else {
                throw Failure(.badData, path, "an image has no id or file_name")
            }
            guard let own = captions[id] else { throw Failure(.badData, path, "image \(file) has no captions") }
            return Image(file: file, captions: own)
        }
    }
}
