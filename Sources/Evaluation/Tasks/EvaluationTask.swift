import Foundation
package import Records
import Shards
package import Support

/// A benchmark: what it asks of a set and of a model, and how answers are judged. One file each; which there are is
/// known to `TaskFile` alone.
package protocol EvaluationTask: Sendable {
    var name: String { get }
    /// CLIP_benchmark's name of its kind.
    static var kind: String { get }
    /// What of a set it reads.
    var request: SetRequest { get }
    /// Published figures with their sources, for people to read.
    var baselines: [String: String] { get }
    /// Everything of the task that figures depend on, to know a task that has changed.
    var contents: JSON { get }
    /// What a protocol's hash holds of it.
    var protocolParts: (classNames: [String], templates: [String]) { get }
    /// What the rows of its texts are called in a file of features.
    static var textRows: String { get }
    /// Whether each of its texts is a query of its own, that an ensemble weighs for itself.
    static var hasQueries: Bool { get }

    /// The texts that it needs of a model, in groups that mean one thing: a class's prompts, or a caption.
    func texts(_ set: EvaluationSet) -> [[String]]
    /// One row of each group.
    ///
    /// - Parameter features: unit rows [texts, width], in their order
    func rows(_ features: [Float], width: Int) -> [Float]
    /// Judges features; no model is seen.
    func outcome(_ features: FeatureTable, _ weighting: FeatureTable.Weighting, _ set: EvaluationSet) -> TaskOutcome
    /// An image with the model's answers, to look at.
    func example(_ image: Int, _ outcome: TaskOutcome, _ set: EvaluationSet) throws -> ExampleRecord
}

extension EvaluationTask {
    package var kind: String { Self.kind }
}

/// What became of a task.
package struct TaskOutcome {
    let metrics: [Metric]
    /// The best classes of every image, of a classification.
    var top: [[Int]] = []
    /// Of every image, what it adds to each metric.
    let hits: [[String: Double]]
    /// The features that scores are products of; of text to image where the two directions differ.
    let rows: FeatureTable.Rows
}

/// What of a set a task reads.
package struct SetRequest: Sendable {
    package struct Classes: Sendable {
        package let names: [String]
        /// The WordNet id of each class, by which class folders may be named; empty where the task names none.
        package let wordNetIDs: [String]
        /// Multi-label: the classes of each image by its number, counted from 1, which ends its name; those without
        /// any are left out. nil: one class each, from the folder or shard.
        package let labels: [[Int]]?
    }

    /// The task's, for messages.
    package let name: String
    /// nil: no classes are asked for.
    var classes: Classes?
    /// How captions are read; nil: none are asked for.
    var captions: CaptionRequest?
}

/// How the captions of a set are read.
package struct CaptionRequest: Sendable {
    /// From this field of each sample's JSON.
    let key: String?
    let form: CaptionForm
}
