import Foundation
import Shards
package import Records
package import Support

/// Zero-shot classification (Radford et al. 2021, arXiv:2103.00020, section 3.1): the class whose prompts lie nearest.
package struct ZeroShotClassification: EvaluationTask {
    package static let kind = "zeroshot_classification"
    package static let textRows = "classifier"
    package static let hasQueries = false

    package let name: String
    package let baselines: [String: String]
    package let classes: SetRequest.Classes
    package let templates: [String]
    let captions: CaptionRequest

    package var request: SetRequest { SetRequest(name: name, classes: classes) }
    package var protocolParts: (classNames: [String], templates: [String]) { (classes.names, templates) }

    /// For each class its prompts.
    package var prompts: [[String]] {
        classes.names.map { name in templates.map { $0.replacingOccurrences(of: "{}", with: name) } }
    }

    package func texts(_ set: EvaluationSet) -> [[String]] { prompts }

    package func rows(_ features: [Float], width: Int) -> [Float] {
        Classification.weights(
            features: features, classes: classes.names.count, templates: templates.count, width: width)
    }

    package func outcome(_ features: FeatureTable, _ weighting: FeatureTable.Weighting, _ set: EvaluationSet)
        -> TaskOutcome
    {
        let rows = features.rows(weighting.ofTask)
        let (images, texts) = features.tensors(rows)
        let (count, targets) = (classes.names.count, set.items.map(\.classes))
        let top = Classification.top(min(5, count), images: images, weights: texts)
        return TaskOutcome(
            metrics: Classification.metrics(top: top, targets: targets, classes: count), top: top,
            hits: Classification.hits(top: top, targets: targets, classes: count), rows: rows)
    }

    package func example(_ image: Int, _ outcome: TaskOutcome, _ set: EvaluationSet) throws -> ExampleRecord {
        let own = set.items[image].classes
        let answers = outcome.top[image].prefix(3).map { c in
            ExampleRecord.Answer(
                picture: nil, text: classes.names[c], score: Double(outcome.rows.score(image, c)),
                isRight: own.contains(c))
        }
        return ExampleRecord(
            query: own.map { classes.names[$0] }.joined(separator: ", "), picture: try set.thumbnail(image),
            answers: answers)
    }

    package var contents: JSON {
        [
            "name": .string(name), "task": .string(kind),
            "class_names": .array(classes.names.map { .string($0) }),
            "templates": .array(templates.map { .string($0) }),
            "caption_key": captions.key.map { .string($0) } ?? .null,
            "captions": .string(captions.form.rawValue),
            "labels": classes.labels.map { .array($0.map { .array($0.map { .integer($0) }) }) } ?? .null,
        ]
    }
}
