import Foundation
import RecipeSchema
import Support

/// A benchmark, declared in YAML under Evals/tasks.
public struct EvaluationTask: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case classification = "zeroshot_classification"
        case retrieval = "zeroshot_retrieval"
    }

    public let name: String
    public let kind: Kind
    public let classNames: [String]
    public let templates: [String]
    /// Read captions from this field of each sample's JSON.
    public let captionKey: String?
    /// Published figures with their sources, for people to read.
    public let baselines: [String: String]

    /// - Throws: `Failure` naming file, line and key.
    public init(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw Failure(
                .inputMissing, path, "no such task", remedy: "See Evals/tasks for those that come with Diptych")
        }
        let section = try Section(file: path)
        name = try section.string("name")
        kind = try section.choice("task")
        switch kind {
        case .classification:
            classNames = try TextList.read(section, "classnames", beside: path)
            templates = try TextList.read(section, "templates", beside: path)
            if let bare = templates.first(where: { !$0.contains("{}") }) {
                throw section.wrong("templates", "\"\(bare)\" has no {} for the class name")
            }
        case .retrieval: (classNames, templates) = ([], [])
        }
        captionKey = try section.optionalString("caption_key")
        for key in ["about", "source"] { _ = try section.optionalString(key) }
        let published = try section.section("baselines")
        baselines = try Dictionary(uniqueKeysWithValues: published.keys.map { ($0, try published.string($0)) })
        try section.finish()
    }
}
