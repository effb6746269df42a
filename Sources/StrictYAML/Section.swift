import Foundation
package import Support
import Yams

/// What no count in a recipe comes near: sums and products of a few of them stay far from overflow.
package let largestCount = 1_000_000_000_000

/// One mapping of a YAML file, read strictly: every wrong value names file, line and key, and `finish`
/// refuses keys that nothing has read.
///
/// A class, because reading marks keys as read.
package final class Section {
    private let node: Node.Mapping
    private let path: String
    private let prefix: String
    private let line: Int
    private var read: [String] = []
    private var children: [Section] = []

    package convenience init(file path: String) throws {
        try self.init(YAMLFile(path))
    }

    package convenience init(_ file: YAMLFile) throws {
        guard let mapping = file.root.mapping else { throw Failure(.badData, file.path, "is no YAML mapping") }
        self.init(mapping, path: file.path, prefix: "", line: 1)
    }

    private init(_ node: Node.Mapping, path: String, prefix: String, line: Int) {
        self.node = node
        self.path = path
        self.prefix = prefix
        self.line = line
    }

    package var keys: [String] { node.keys.compactMap(\.string) }

    /// A failure about one key, at its line.
    package func wrong(_ key: String, _ problem: String, remedy: String = "") -> Failure {
        let at = node[Node(key)]?.mark?.line ?? line
        return Failure(.badData, "\(path):\(at)", "\(prefix)\(key): \(problem)", remedy: remedy)
    }

    private func value(_ key: String) -> Node? {
        if !read.contains(key) { read.append(key) }
        guard let value = node[Node(key)], value.null == nil || value.scalar?.style != .plain else { return nil }
        return value
    }

    package func has(_ key: String) -> Bool { value(key) != nil }

    private func require<Value>(_ key: String, _ type: String, _ fallback: Value?, _ convert: (Node) -> Value?) throws
        -> Value
    {
        guard let node = value(key) else {
            guard let fallback else {
                let stray = didYouMean(key, among: keys.filter { !read.contains($0) })
                throw wrong(
                    key, "is missing", remedy: stray.map { "There is \(prefix)\($0): is that what is meant?" } ?? "")
            }
            return fallback
        }
        guard let value = convert(node) else { throw wrong(key, "needs \(type)") }
        return value
    }

    package func string(_ key: String, default fallback: String? = nil) throws -> String {
        try require(key, "a text", fallback) { $0.scalar?.string }
    }

    package func optionalString(_ key: String) throws -> String? { has(key) ? try string(key) : nil }

    package func integer(_ key: String, default fallback: Int? = nil, in range: ClosedRange<Int> = 0...largestCount)
        throws
        -> Int
    {
        let number = try require(key, "an integer", fallback) { $0.int ?? $0.float.flatMap { Int(exactly: $0) } }
        guard range.contains(number) else {
            throw wrong(
                key,
                range.upperBound == largestCount
                    ? "must be at least \(range.lowerBound)" : "must be in \(range.lowerBound)...\(range.upperBound)")
        }
        return number
    }

    package func optionalInteger(_ key: String, in range: ClosedRange<Int> = 0...largestCount) throws -> Int? {
        has(key) ? try integer(key, in: range) : nil
    }

    package func number(
        _ key: String, default fallback: Double? = nil, in range: ClosedRange<Double> = 0...Double.infinity
    ) throws -> Double {
        // YAML 1.1 wants a dot in 1e-3; people write it without.
        let number = try require(key, "a number", fallback) { $0.float ?? $0.scalar.flatMap { Double($0.string) } }
        guard number.isFinite else { throw wrong(key, "needs a finite number") }
        guard range.contains(number) else {
            throw wrong(
                key,
                range.upperBound == .infinity
                    ? "must be at least \(range.lowerBound)" : "must be in \(range.lowerBound)...\(range.upperBound)")
        }
        return number
    }

    package func optionalNumber(_ key: String, in range: ClosedRange<Double> = 0...Double.infinity) throws -> Double? {
        has(key) ? try number(key, in: range) : nil
    }

    package func bool(_ key: String, default fallback: Bool? = nil) throws -> Bool {
        try require(key, "true or false", fallback) { $0.bool }
    }

    package func strings(_ key: String, default fallback: [String]? = nil) throws -> [String] {
        try require(key, "a text or a list of texts", fallback) { node in
            if let text = node.scalar?.string { return [text] }
            let texts = node.sequence?.map { $0.scalar?.string }
            return texts?.contains(nil) == true ? nil : texts?.compactMap { $0 }
        }
    }

    package func numbers(_ key: String, count: Int, default fallback: [Double]? = nil) throws -> [Double] {
        try require(key, "a list of \(count) numbers", fallback) { node in
            let numbers = node.sequence?.compactMap { $0.float ?? $0.scalar.flatMap { Double($0.string) } }
            return numbers?.count == count ? numbers : nil
        }
    }

    package func choice<Value: RawRepresentable & CaseIterable>(_ key: String, default fallback: Value? = nil) throws
        -> Value
    where Value.RawValue == String {
        let word = try string(key, default: fallback?.rawValue)
        guard let value = Value(rawValue: word) else {
            let all = Value.allCases.map(\.rawValue)
            let hint = didYouMean(word, among: all).map { "Did you mean \($0)?" } ?? ""
            throw wrong(key, "\(word) is not one of \(all.joined(separator: ", "))", remedy: hint)
        }
        return value
    }

    /// The mapping under a key, empty when there is none.
    package func section(_ key: String) throws -> Section {
        let node = try require(key, "a mapping", Node.Mapping([]), \.mapping)
        return child(node, "\(prefix)\(key).", self.node[Node(key)]?.mark?.line)
    }

    /// The mappings of a list under a key, empty when there is none.
    package func sections(_ key: String) throws -> [Section] {
        let nodes = try require(key, "a list of mappings", [Node.Mapping]()) { node in
            let items = node.sequence?.map(\.mapping)
            return items?.contains { $0 == nil } == true ? nil : items?.compactMap { $0 }
        }
        return nodes.enumerated().map { child($1, "\(prefix)\(key)[\($0)].", $1.mark?.line) }
    }

    private func child(_ node: Node.Mapping, _ prefix: String, _ line: Int?) -> Section {
        let section = Section(node, path: path, prefix: prefix, line: line ?? self.line)
        children.append(section)
        return section
    }

    /// - Throws: `Failure(.badData)` at the first key that nothing has read, with a suggestion.
    package func finish() throws {
        for (key, _) in node {
            let name = key.string ?? "?"
            guard !read.contains(name) else { continue }
            let hint =
                didYouMean(name, among: read).map { "Did you mean \($0)?" }
                ?? "Known keys: \(read.sorted().joined(separator: ", "))"
            throw Failure(.badData, "\(path):\(key.mark?.line ?? line)", "unknown key \(prefix)\(name)", remedy: hint)
        }
        for child in children { try child.finish() }
    }
}
