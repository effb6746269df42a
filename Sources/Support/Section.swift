import Foundation

/// What no count in a recipe comes near: sums and products of a few of them stay far from overflow.
package let largestCount = 1_000_000_000_000

/// One mapping of a YAML or JSON file, read strictly: every wrong value names file, line where there is one, and key;
/// `finish` refuses keys that nothing has read. Null is as left out.
///
/// A class, because reading marks keys as read.
package final class Section {
    private let members: [StrictMember]
    private let path: String
    private let prefix: String
    private let line: Int?
    private var read: [String] = []
    private var children: [Section] = []

    /// - Parameters:
    ///   - path: the file, for messages
    ///   - name: the keys that lead here, for messages; none at the top of a file
    /// - Throws: `Failure(.badData)` where the value is no mapping
    package convenience init(_ value: any StrictValue, path: String, name: String = "") throws {
        guard let members = value.members else {
            throw Failure(.badData, path, name.isEmpty ? "is no mapping" : "\(name) is missing or not a mapping")
        }
        self.init(members, path: path, prefix: name.isEmpty ? "" : name + ".", line: value.line)
    }

    private init(_ members: [StrictMember], path: String, prefix: String, line: Int?) {
        (self.members, self.path, self.prefix, self.line) = (members, path, prefix, line)
    }

    package var keys: [String] { members.map(\.name) }

    private func member(_ key: String) -> StrictMember? { members.first { $0.name == key } }

    private func place(_ line: Int?) -> String { (line ?? self.line).map { "\(path):\($0)" } ?? path }

    /// A failure about one key, at its line.
    package func wrong(_ key: String, _ problem: String, remedy: String = "") -> Failure {
        Failure(.badData, place(member(key)?.line), "\(prefix)\(key): \(problem)", remedy: remedy)
    }

    private func value(_ key: String) -> (any StrictValue)? {
        if !read.contains(key) { read.append(key) }
        return member(key).flatMap { $0.value.isNull ? nil : $0.value }
    }

    package func has(_ key: String) -> Bool { value(key) != nil }

    private func require<Value>(
        _ key: String, _ type: String, _ fallback: Value?, _ convert: (any StrictValue) -> Value?
    ) throws -> Value {
        guard let found = value(key) else {
            guard let fallback else {
                let stray = didYouMean(key, among: keys.filter { !read.contains($0) })
                throw wrong(
                    key, "is missing", remedy: stray.map { "There is \(prefix)\($0): is that what is meant?" } ?? "")
            }
            return fallback
        }
        guard let value = convert(found) else { throw wrong(key, "needs \(type), has \(found.shown)") }
        return value
    }

    package func string(_ key: String, default fallback: String? = nil) throws -> String {
        try require(key, "a text", fallback, \.string)
    }

    package func optionalString(_ key: String) throws -> String? { has(key) ? try string(key) : nil }

    package func integer(_ key: String, default fallback: Int? = nil, in range: ClosedRange<Int> = 0...largestCount)
        throws -> Int
    {
        let number = try require(key, "an integer", fallback, \.integer)
        guard range.contains(number) else { throw outside(key, "\(range.lowerBound)", range.upperBound, largestCount) }
        return number
    }

    private func outside<Bound: Equatable>(_ key: String, _ least: String, _ most: Bound, _ boundless: Bound)
        -> Failure
    {
        wrong(key, most == boundless ? "must be at least \(least)" : "must be in \(least)...\(most)")
    }

    package func optionalInteger(_ key: String, in range: ClosedRange<Int> = 0...largestCount) throws -> Int? {
        has(key) ? try integer(key, in: range) : nil
    }

    package func integers(_ key: String, default fallback: [Int]? = nil, in range: ClosedRange<Int>) throws -> [Int] {
        let numbers = try require(key, "a list of integers", fallback) { Self.all($0.items, \.integer) }
        guard numbers.allSatisfy(range.contains) else {
            throw outside(key, "\(range.lowerBound)", range.upperBound, largestCount)
        }
        return numbers
    }

    /// A side of a square, or [height, width].
    package func sides(
        _ key: String, default fallback: (height: Int, width: Int)? = nil, in range: ClosedRange<Int>
    ) throws -> (height: Int, width: Int) {
        let sides = try require(key, "a side or [height, width]", fallback.map { [$0.height, $0.width] }) { value in
            value.integer.map { [$0, $0] } ?? Self.all(value.items, \.integer).flatMap { $0.count == 2 ? $0 : nil }
        }
        guard sides.allSatisfy(range.contains) else {
            throw outside(key, "\(range.lowerBound)", range.upperBound, largestCount)
        }
        return (sides[0], sides[1])
    }

    package func number(
        _ key: String, default fallback: Double? = nil, in range: ClosedRange<Double> = 0...Double.infinity
    ) throws -> Double {
        let number = try require(key, "a number", fallback, \.number)
        guard number.isFinite else { throw wrong(key, "needs a finite number") }
        guard range.contains(number) else { throw outside(key, "\(range.lowerBound)", range.upperBound, .infinity) }
        return number
    }

    package func optionalNumber(_ key: String, in range: ClosedRange<Double> = 0...Double.infinity) throws -> Double? {
        has(key) ? try number(key, in: range) : nil
    }

    package func bool(_ key: String, default fallback: Bool? = nil) throws -> Bool {
        try require(key, "true or false", fallback, \.bool)
    }

    package func strings(_ key: String, default fallback: [String]? = nil) throws -> [String] {
        try require(key, "a text or a list of texts", fallback) { value in
            value.string.map { [$0] } ?? Self.all(value.items, \.string)
        }
    }

    package func numbers(_ key: String, count: Int, default fallback: [Double]? = nil) throws -> [Double] {
        let numbers = try require(key, "a list of \(count) numbers", fallback) { value in
            Self.all(value.items, \.number).flatMap { $0.count == count ? $0 : nil }
        }
        guard numbers.allSatisfy(\.isFinite) else { throw wrong(key, "needs finite numbers") }
        return numbers
    }

    /// nil unless every item is of the kind.
    private static func all<Value>(_ items: [any StrictValue]?, _ read: (any StrictValue) -> Value?) -> [Value]? {
        let values = items?.compactMap(read)
        return values?.count == items?.count ? values : nil
    }

    package func choice<Value: RawRepresentable & CaseIterable>(_ key: String, default fallback: Value? = nil) throws
        -> Value
    where Value.RawValue == String {
        try pick(key, fallback?.rawValue, Value.allCases.map { ($0.rawValue, $0) })
    }

    /// One of the words, by what it stands for.
    package func choice<Value>(_ key: String, default fallback: String?, _ choices: KeyValuePairs<String, Value>)
        throws -> Value
    {
        try pick(key, fallback, Array(choices))
    }

    private func pick<Value>(_ key: String, _ fallback: String?, _ choices: [(key: String, value: Value)]) throws
        -> Value
    {
        let word = try string(key, default: fallback)
        guard let choice = choices.first(where: { $0.key == word }) else {
            let hint = didYouMean(word, among: choices.map(\.key)).map { "Did you mean \($0)?" } ?? ""
            throw wrong(
                key, "\(word) is not one of \(choices.map(\.key).joined(separator: ", "))", remedy: hint)
        }
        return choice.value
    }

    /// The mapping under a key, empty when there is none.
    package func section(_ key: String) throws -> Section {
        let found = try require(key, "a mapping", [], \.members)
        return child(found, "\(prefix)\(key).", member(key)?.line)
    }

    /// The mappings of a list under a key, empty when there is none.
    package func sections(_ key: String) throws -> [Section] {
        let found = try require(key, "a list of mappings", []) { value in
            Self.all(value.items) { item in item.members.map { (members: $0, line: item.line) } }
        }
        return found.enumerated().map { child($1.members, "\(prefix)\(key)[\($0)].", $1.line) }
    }

    private func child(_ members: [StrictMember], _ prefix: String, _ line: Int?)
        -> Section
    {
        let section = Section(members, path: path, prefix: prefix, line: line ?? self.line)
        children.append(section)
        return section
    }

    /// - Throws: `Failure(.badData)` at the first key that nothing has read, with a suggestion.
    package func finish() throws {
        if let stray = members.first(where: { !read.contains($0.name) }) { throw unknown(stray, among: read) }
        for child in children { try child.finish() }
    }

    private func unknown(_ member: StrictMember, among known: [String]) -> Failure {
        let hint =
            didYouMean(member.name, among: known).map { "Did you mean \($0)?" }
            ?? "Known keys: \(known.sorted().joined(separator: ", "))"
        return Failure(.badData, place(member.line), "unknown key \(prefix)\(member.name)", remedy: hint)
    }

    /// For files of others: keys that are known though nothing reads them, and keys of features that are not built.
    ///
    /// - Parameter off: those keys, with the value at which the feature is off
    /// - Throws: `Failure(.badData)` naming a key that is neither, or a feature that is on
    package func requireKnown(_ known: Set<String>, unless off: [String: JSON] = [:]) throws {
        for member in members where !known.contains(member.name) {
            guard let offValue = off[member.name] else { throw unknown(member, among: Array(known)) }
            let value = member.value
            let isOff =
                value.isNull || value.shown == offValue.shown
                || (value.number != nil && value.number == offValue.number)
            guard isOff else { throw wrong(member.name, "\(value.shown) is not supported by this version") }
        }
    }
}
