import Foundation
import Images
import Support
import TensorCore

/// What a model makes of a few samples, to look at: pictures as small JPEGs.
package struct EvaluationExample: Sendable {
    package struct Answer: Sendable {
        /// Base64 JPEG; nil for a class.
        package let picture: String?
        package let text: String
        package let score: Float
        package let isRight: Bool
    }

    /// The caption of a retrieval, or the right class of a picture.
    package let query: String
    /// Base64 JPEG of a picture that is classified.
    package let picture: String?
    package let answers: [Answer]

    package var json: JSON {
        [
            "query": .string(query), "picture": picture.map { .string($0) } ?? .null,
            "answers": .array(
                answers.map {
                    [
                        "picture": $0.picture.map { .string($0) } ?? .null, "text": .string($0.text),
                        "score": .number(Double($0.score)), "right": .bool($0.isRight),
                    ]
                }),
        ]
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
