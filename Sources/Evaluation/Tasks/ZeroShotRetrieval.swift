import Shards
package import Records
package import Support

/// Image-text retrieval: the image of each caption among all, and the captions of each image.
package struct ZeroShotRetrieval: EvaluationTask {
    package static let kind = "zeroshot_retrieval"
    package static let textRows = "text_features"
    package static let hasQueries = true

    package let name: String
    package let baselines: [String: String]
    let captions: CaptionRequest

    package var request: SetRequest { SetRequest(name: name, captions: captions) }
    package var protocolParts: (classNames: [String], templates: [String]) { ([], []) }

    package func texts(_ set: EvaluationSet) -> [[String]] { set.items.flatMap { $0.captions.map { [$0] } } }

    package func rows(_ features: [Float], width: Int) -> [Float] { features }

    /// The image of each caption.
    private func owner(_ set: EvaluationSet) -> [Int] {
        set.items.enumerated().flatMap { index, item in item.captions.map { _ in index } }
    }

    package func outcome(_ features: FeatureTable, _ weighting: FeatureTable.Weighting, _ set: EvaluationSet)
        -> TaskOutcome
    {
        let owner = owner(set)
        func ranks(_ rows: FeatureTable.Rows) -> Retrieval.Ranks {
            let (images, texts) = features.tensors(rows)
            return Retrieval.ranks(images: images, texts: texts, owner: owner)
        }
        var rows = features.rows(weighting.ofTask)
        var found = ranks(rows)
        if case .captions(let task, let each) = weighting {
            // By the task's weights an image finds texts, by its own a text finds images.
            rows = features.rows({ each[$0] }, task.indices.filter { member in each.contains { $0[member] > 0 } })
            found = Retrieval.Ranks(textToImage: ranks(rows).textToImage, imageToText: found.imageToText)
        }
        return TaskOutcome(
            metrics: Retrieval.metrics(found, owner: owner), hits: Retrieval.hits(found, owner: owner), rows: rows)
    }

    package func example(_ image: Int, _ outcome: TaskOutcome, _ set: EvaluationSet) throws -> ExampleRecord {
        let text = set.items.prefix(image).reduce(0) { $0 + $1.captions.count }
        let scores = set.items.indices.map { outcome.rows.score($0, text) }
        let best = set.items.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(5)
        let answers = try best.map {
            ExampleRecord.Answer(
                picture: try set.thumbnail($0), text: set.items[$0].key, score: Double(scores[$0]),
                isRight: $0 == image)
        }
        return ExampleRecord(query: set.items[image].captions[0], picture: nil, answers: answers)
    }

    package var contents: JSON {
        [
            "name": .string(name), "task": .string(kind), "class_names": .array([]), "templates": .array([]),
            "caption_key": captions.key.map { .string($0) } ?? .null, "captions": .string(captions.form.rawValue),
            "labels": .null,
        ]
    }
}
