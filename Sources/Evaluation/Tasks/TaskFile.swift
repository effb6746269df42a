import Foundation
import Shards
import StrictYAML
import Support

/// A benchmark, declared in YAML under Evals/tasks.
package enum TaskFile {
    private enum Kind: String, CaseIterable {
        case classification = "zeroshot_classification"
        case retrieval = "zeroshot_retrieval"
    }

    /// - Throws: `Failure` naming file, line and key.
    package static func read(_ path: String) throws -> any EvaluationTask {
        guard let path = Paths.find(path) else {
            throw Failure(
                .inputMissing, path, "no such task", remedy: "See Evals/tasks for those that come with Diptych")
        }
        let section = try Section(file: path)
        let name = try section.string("name")
        do { _ = try Files.inside("evals", name, of: path) } catch let failure as Failure {
            throw section.wrong("name", failure.problem, remedy: failure.remedy)
        }
        let kind: Kind = try section.choice("task")
        let captions = CaptionRequest(
            key: try section.optionalString("caption_key"), form: try section.choice("captions", default: .lines))
        for key in ["about", "source"] { _ = try section.optionalString(key) }
        let published = try section.section("baselines")
        let baselines = try Dictionary(published.keys.map { ($0, try published.string($0)) }) { $1 }
        let task: any EvaluationTask =
            switch kind {
            case .classification:
                ZeroShotClassification(
                    name: name, baselines: baselines, classes: try classes(section, beside: path),
                    templates: try templates(section, beside: path), captions: captions)
            case .retrieval: ZeroShotRetrieval(name: name, baselines: baselines, captions: captions)
            }
        try section.finish()
        return task
    }

    private static func classes(_ section: Section, beside path: String) throws -> SetRequest.Classes {
        let names = try TextList.read(section, "classnames", beside: path)
        let chosen = try Self.chosen(names.count, section, beside: path)
        let ids = section.has("wordnet_ids") ? try TextList.read(section, "wordnet_ids", beside: path) : []
        guard ids.isEmpty || ids.count == names.count else {
            throw section.wrong("wordnet_ids", "has \(ids.count) ids for \(names.count) class names")
        }
        let labels = try section.optionalString("labels").map { name in
            let file = try TextList.locate(name, section, "labels", beside: path)
            let lists = try JSON(file: file).array?.map { $0.array?.map(\.integer) }
            guard let lists, lists.allSatisfy({ $0?.contains(nil) == false }) else {
                throw section.wrong("labels", "\(file) is no list of lists of classes")
            }
            return lists.map { ($0 ?? []).compactMap { $0 } }
        }
        return SetRequest.Classes(
            names: chosen.map { names[$0] }, wordNetIDs: ids.isEmpty ? [] : chosen.map { ids[$0] }, labels: labels)
    }

    private static func templates(_ section: Section, beside path: String) throws -> [String] {
        let templates = try TextList.read(section, "templates", beside: path)
        if let bare = templates.first(where: { !$0.contains("{}") }) {
            throw section.wrong("templates", "\"\(bare)\" has no {} for the class name")
        }
        return templates
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
}
