import Foundation
package import Support
package import Yams

/// A YAML file with the user's overrides merged in.
package struct YAMLFile {
    package let path: String
    package private(set) var root: Node

    /// - Throws: `Failure` naming file and line.
    package init(_ path: String) throws {
        self.path = path
        let data = try readFile(path)
        guard data.count <= Self.largest else {
            throw Failure(.badData, path, "\(formatBytes(data.count)) are no recipe, task or card")
        }
        let text = try TextLines.split(data, path: path).joined(separator: "\n") + "\n"
        if let line = YAMLAliases.firstLine(in: text) {
            throw Failure(
                .badData, "\(path):\(line)", "YAML aliases (*name) are not read",
                remedy: "Write out what the alias stands for, or put the text in quotes")
        }
        do { root = try Yams.compose(yaml: text) ?? Node.mapping(Node.Mapping([])) } catch let error as YamlError {
            throw Failure(.badData, path, Self.sentence(error))
        }
    }

    private static let largest = 1 << 20

    private static func sentence(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping(let duplicates, _):
            return "keys stand twice: \(duplicates.map { "\($0)" }.joined(separator: ", "))"
        default: return "not valid YAML"
        }
    }

    /// Sets `a.b.c=value`; the value is read as YAML.
    ///
    /// - Throws: `Failure(.usage)` for an override that is not of this form.
    package mutating func set(_ override: String) throws {
        let parts = override.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw Failure(.usage, "--set \(override)", "is not key=value", remedy: "Write --set optimizer.rate=0.001")
        }
        guard YAMLAliases.firstLine(in: String(parts[1])) == nil,
            let value = try? Yams.compose(yaml: String(parts[1])) ?? Node("")
        else {
            throw Failure(.usage, "--set \(override)", "the value is not valid YAML")
        }
        root = Self.setting(root, parts[0].split(separator: ".").map(String.init)[...], value)
    }

    private static func setting(_ node: Node, _ keys: ArraySlice<String>, _ value: Node) -> Node {
        guard let key = keys.first else { return value }
        var mapping = node.mapping ?? Node.Mapping([])
        mapping[Node(key)] = setting(mapping[Node(key)] ?? Node.mapping(Node.Mapping([])), keys.dropFirst(), value)
        return .mapping(mapping)
    }

    /// Takes a key out of the top mapping, where it stands.
    package mutating func remove(_ key: String) {
        guard var mapping = root.mapping else { return }
        mapping[Node(key)] = nil
        root = .mapping(mapping)
    }

    /// The merged file, to be kept beside the results.
    package func text() throws -> String {
        do { return try Yams.serialize(node: root, width: 100) } catch {
            throw Failure(.ourFault, path, "cannot be written as YAML")
        }
    }

    /// Every scalar under its dotted key, to compare two files.
    package var flattened: [String: String] {
        var out: [String: String] = [:]
        Self.flatten(root, "", into: &out)
        return out
    }

    /// - Parameter free: keys that may differ, with what stands under them
    /// - Throws: `Failure(.usage)` naming the keys that differ from a run's own recipe.
    package func requireSame(as path: String, except free: [String]) throws {
        let (kept, given) = (try YAMLFile(path).flattened, flattened)
        let changed = Set(kept.keys).union(given.keys).filter { key in
            kept[key] != given[key]
                && !free.contains { key == $0 || key.hasPrefix($0 + ".") || key.hasPrefix($0 + "[") }
        }
        guard changed.isEmpty else {
            let list = changed.sorted().map {
                "\($0) (\(kept[$0] ?? "absent") there, \(given[$0] ?? "absent") here)"
            }.joined(separator: ", ")
            throw Failure(
                .usage, path, "the recipe differs from the run's: \(list)",
                remedy: "Start a new run with --run, or restore the recipe")
        }
    }

    private static func flatten(_ node: Node, _ prefix: String, into out: inout [String: String]) {
        if let mapping = node.mapping {
            for (key, value) in mapping {
                flatten(value, (prefix.isEmpty ? "" : prefix + ".") + (key.string ?? "?"), into: &out)
            }
        } else if let sequence = node.sequence {
            for (index, value) in sequence.enumerated() { flatten(value, "\(prefix)[\(index)]", into: &out) }
        } else {
            out[prefix] = node.scalar?.string ?? ""
        }
    }
}

extension Section {
    /// - Throws: `Failure` naming file and line
    package convenience init(file path: String) throws { try self.init(YAMLFile(path)) }

    /// The top mapping of a file.
    package convenience init(_ file: YAMLFile) throws {
        guard file.root.mapping != nil else { throw Failure(.badData, file.path, "is no YAML mapping") }
        try self.init(YAMLValue(node: file.root), path: file.path)
    }
}

/// YAML's scalars say by their form what they are.
private struct YAMLValue: StrictValue {
    let node: Node

    var isNull: Bool { node.null != nil && node.scalar?.style == .plain }
    var string: String? { node.scalar?.string }
    var integer: Int? { node.int ?? node.float.flatMap { Int(exactly: $0) } }
    /// YAML 1.1 wants a dot in 1e-3; people write it without.
    var number: Double? { node.float ?? node.scalar.flatMap { Double($0.string) } }
    var bool: Bool? { node.bool }
    var items: [any StrictValue]? { node.sequence?.map { YAMLValue(node: $0) } }
    var members: [StrictMember]? {
        node.mapping?.map {
            StrictMember(name: $0.key.string ?? "?", value: YAMLValue(node: $0.value), line: $0.key.mark?.line)
        }
    }
    var line: Int? { node.mark?.line }
    var shown: String { node.scalar?.string ?? (node.sequence == nil ? "a mapping" : "a list") }
}
