package import Support

/// What a model makes of a sample, to look at: pictures as small JPEGs.
package struct ExampleRecord: Sendable, Equatable {
    package struct Answer: Sendable, Equatable {
        /// Base64 JPEG; nil for a class.
        package let picture: String?
        package let text: String
        package let score: Double
        package let isRight: Bool

        package init(picture: String?, text: String, score: Double, isRight: Bool) {
            (self.picture, self.text, self.score, self.isRight) = (picture, text, score, isRight)
        }
    }

    /// The caption of a retrieval, or the right class of a picture.
    package let query: String
    /// Base64 JPEG of a picture that is classified.
    package let picture: String?
    package let answers: [Answer]

    package init(query: String, picture: String?, answers: [Answer]) {
        (self.query, self.picture, self.answers) = (query, picture, answers)
    }

    package var json: JSON {
        let answers = answers.map { answer -> JSON in
            [
                "picture": answer.picture.map { .string($0) } ?? .null, "text": .string(answer.text),
                "score": .number(answer.score), "right": .bool(answer.isRight),
            ]
        }
        return ["query": .string(query), "picture": picture.map { .string($0) } ?? .null, "answers": .array(answers)]
    }

    /// nil for what is no example.
    package init?(_ json: JSON) {
        guard let query = json["query"]?.string, let answers = json["answers"]?.array else { return nil }
        self.query = query
        picture = json["picture"]?.string
        self.answers = answers.map {
            Answer(
                picture: $0["picture"]?.string, text: $0["text"]?.string ?? "", score: $0["score"]?.number ?? 0,
                isRight: $0["right"]?.bool ?? false)
        }
    }
}
