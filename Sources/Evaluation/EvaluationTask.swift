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
    /// Multi-label: the classes of each image by its number, counted from 1, which ends its name; those without
    /// any are left out. nil: one class each, from the folder or shard.
    public let labels: [[Int]]?
    /// Read captions from this field of each sample's JSON.
    public let captionKey: String?
    /// Published figures with their sources, for people to read.
    public let baselines: [String: String]

    /// - Throws: `Failure` naming file, line and key.
    public init(_ path: String) throws {
        guard Files.exists(path) else {
            throw Failure(
                .inputMissing, path, "no such task", remedy: "See Evals/tasks for those that come with Diptych")
        }
        let section = try Section(file: path)
        name = try section.string("name")
        kind = try section.choice("task")
        switch kind {
        case .classification:
            let names = try TextList.read(section, "classnames", beside: path)
            classNames = try Self.chosen(names, section, beside: path)
            labels = try section.optionalString("labels").map { name in
                let file = try TextList.locate(name, section, "labels", beside: path)
                let lists = try JSON(file: file).array?.map { $0.array?.compactMap(\.integer) }
                guard let lists, !lists.contains(where: { $0 == nil }) else {
                    throw section.wrong("labels", "\(file) is no list of lists of classes")
                }
                return lists.compactMap { $0 }
            }
            templates = try TextList.read(section, "templates", beside: path)
            if let bare = templates.first(where: { !$0.contains("{}") }) {
                throw section.wrong("templates", "\"\(bare)\" has no {} for the class name")
            }
        case .retrieval: (classNames, templates, labels) = ([], [], nil)
        }
        captionKey = try section.optionalString("caption_key")
        for key in ["about", "source"] { _ = try section.optionalString(key) }
        let published = try section.section("baselines")
        baselines = try Dictionary(uniqueKeysWithValues: published.keys.map { ($0, try published.string($0)) })
        try section.finish()
    }

    /// The names at `class_indices`, for sets of some of the classes; all without it.
    private static func chosen(_ names: [String], _ section: Section, beside path: String) throws -> [String] {
        guard section.has("class_indices") else { return names }
        return try TextList.read(section, "class_indices", beside: path).map { line in
            guard let index = Int(line.trimmingCharacters(in: .whitespaces)), names.indices.contains(index) else {
                throw section.wrong("class_indices", "\(line) is no index of the \(names.count) class names")
            }
            return names[index]
        }
    }
}
