import Foundation
import StrictYAML
import Shards
import Support

/// A benchmark, declared in YAML under Evals/tasks.
package struct EvaluationTask: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case classification = "zeroshot_classification"
        case retrieval = "zeroshot_retrieval"
    }

    package let name: String
    package let kind: Kind
    package let classNames: [String]
    package let templates: [String]
    /// Multi-label: the classes of each image by its number, counted from 1, which ends its name; those without
    /// any are left out. nil: one class each, from the folder or shard.
    package let labels: [[Int]]?
    /// Read captions from this field of each sample's JSON.
    package let captionKey: String?
    /// Whether a txt member is a caption a line or one caption.
    package let captionForm: CaptionForm
    /// The WordNet id of each class, by which class folders may be named; empty where the task names none.
    package let wordNetIDs: [String]
    /// Published figures with their sources, for people to read.
    package let baselines: [String: String]

    /// - Throws: `Failure` naming file, line and key.
    package init(_ path: String) throws {
        guard let path = Paths.find(path) else {
            throw Failure(
                .inputMissing, path, "no such task", remedy: "See Evals/tasks for those that come with Diptych")
        }
        let section = try Section(file: path)
        name = try section.string("name")
        do { _ = try Files.inside("evals", name, of: path) } catch let failure as Failure {
            throw section.wrong("name", failure.problem, remedy: failure.remedy)
        }
        kind = try section.choice("task")
        switch kind {
        case .classification:
            let names = try TextList.read(section, "classnames", beside: path)
            let chosen = try Self.chosen(names.count, section, beside: path)
            classNames = chosen.map { names[$0] }
            let ids = section.has("wordnet_ids") ? try TextList.read(section, "wordnet_ids", beside: path) : []
            guard ids.isEmpty || ids.count == names.count else {
                throw section.wrong("wordnet_ids", "has \(ids.count) ids for \(names.count) class names")
            }
            wordNetIDs = ids.isEmpty ? [] : chosen.map { ids[$0] }
            labels = try section.optionalString("labels").map { name in
                let file = try TextList.locate(name, section, "labels", beside: path)
                let lists = try JSON(file: file).array?.map { $0.array?.map(\.integer) }
                guard let lists, lists.allSatisfy({ $0?.contains(nil) == false }) else {
                    throw section.wrong("labels", "\(file) is no list of lists of classes")
                }
                return lists.map { ($0 ?? []).compactMap { $0 } }
            }
            templates = try TextList.read(section, "templates", beside: path)
            if let bare = templates.first(where: { !$0.contains("{}") }) {
                throw section.wrong("templates", "\"\(bare)\" has no {} for the class name")
            }
        case .retrieval: (classNames, templates, labels, wordNetIDs) = ([], [], nil, [])
        }
        captionKey = try section.optionalString("caption_key")
        captionForm = try section.choice("captions", default: .lines)
        for key in ["about", "source"] { _ = try section.optionalString(key) }
        let published = try section.section("baselines")
        baselines = try Dictionary(published.keys.map { ($0, try published.string($0)) }) { $1 }
        try section.finish()
    }

    /// The classes at `class_indices`, for sets of some of them; all without it.
    private static func chosen(_ count: Int, _ section: Section, beside path: String) throws -> [Int] {
        guard section.has("class_indices") else { return Array(0..<count) }
        return try TextList.read(section, "class_indices", beside: path).map { line in
            guard let index = Int(line.trimmingCharacters(in: .whitespaces)), (0..<count).contains(index) else {
                throw section.wrong("class_indices", "\(line) is no index of the \(count) class names")
            }
            return index
        }
    }

    /// Everything of the task that figures depend on, to know a task that has changed.
    package var contents: JSON {
        [
            "name": .string(name), "task": .string(kind.rawValue),
            "class_names": .array(classNames.map { .string($0) }),
            "templates": .array(templates.map { .string($0) }), "caption_key": captionKey.map { .string($0) } ?? .null,
            "captions": .string(captionForm.rawValue),
            "labels": labels.map { .array($0.map { .array($0.map { .integer($0) }) }) } ?? .null,
        ]
    }
}
