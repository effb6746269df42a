/// A key of a file, declared once: reading it, its line of help and its documentation come from here.
package struct Key<Value> {
    package let name: String
    /// What it means, in one sentence.
    package let sentence: String
    /// What it may be, for people.
    package let kind: String
    /// What it is where it is left out, for people; nil where it must stand.
    package let fallback: String?
    private let read: (Section, String) throws -> Value

    init(
        _ name: String, _ sentence: String, kind: String, fallback: String?,
        _ read: @escaping (Section, String) throws -> Value
    ) {
        (self.name, self.sentence, self.kind, self.fallback, self.read) = (name, sentence, kind, fallback, read)
    }

    /// - Throws: `Failure(.badData)` naming file, line and key
    package func callAsFunction(_ section: Section) throws -> Value { try read(section, name) }
}

/// What a key says of itself.
package protocol DeclaredKey {
    var name: String { get }
    var sentence: String { get }
    var kind: String { get }
    var fallback: String? { get }
}

extension Key: DeclaredKey {}

/// The keys that a type declares as its stored properties, in their order.
package func declaredKeys(_ keys: some Any) -> [any DeclaredKey] {
    Mirror(reflecting: keys).children.compactMap { $0.value as? any DeclaredKey }
}

private let absent = "left out"

extension Key where Value == Int {
    package static func integer(
        _ name: String, _ sentence: String, default fallback: Int? = nil, in range: ClosedRange<Int> = 0...largestCount
    ) -> Key {
        Key(name, sentence, kind: "integer" + shown(range), fallback: fallback.map(String.init)) {
            try $0.integer($1, default: fallback, in: range)
        }
    }
}

extension Key where Value == Int? {
    package static func integer(_ name: String, _ sentence: String, in range: ClosedRange<Int> = 0...largestCount)
        -> Key
    {
        Key(name, sentence, kind: "integer" + shown(range), fallback: absent) { try $0.optionalInteger($1, in: range) }
    }
}

extension Key where Value == Double {
    package static func number(
        _ name: String, _ sentence: String, default fallback: Double? = nil,
        in range: ClosedRange<Double> = 0...Double.infinity
    ) -> Key {
        Key(name, sentence, kind: "number" + shown(range), fallback: fallback.map { "\($0)" }) {
            try $0.number($1, default: fallback, in: range)
        }
    }
}

extension Key where Value == Double? {
    package static func number(
        _ name: String, _ sentence: String, in range: ClosedRange<Double> = 0...Double.infinity
    ) -> Key {
        Key(name, sentence, kind: "number" + shown(range), fallback: absent) { try $0.optionalNumber($1, in: range) }
    }
}

extension Key where Value == [Double] {
    package static func numbers(_ name: String, _ sentence: String, default fallback: [Double]) -> Key {
        Key(name, sentence, kind: "\(fallback.count) numbers", fallback: "\(fallback)") {
            try $0.numbers($1, count: fallback.count, default: fallback)
        }
    }
}

extension Key where Value == Bool {
    package static func flag(_ name: String, _ sentence: String, default fallback: Bool) -> Key {
        Key(name, sentence, kind: "true or false", fallback: "\(fallback)") { try $0.bool($1, default: fallback) }
    }
}

extension Key where Value == String {
    package static func text(_ name: String, _ sentence: String, default fallback: String? = nil) -> Key {
        Key(name, sentence, kind: "text", fallback: fallback) { try $0.string($1, default: fallback) }
    }
}

extension Key where Value == String? {
    package static func text(_ name: String, _ sentence: String) -> Key {
        Key(name, sentence, kind: "text", fallback: absent) { try $0.optionalString($1) }
    }
}

extension Key where Value == [String] {
    package static func texts(_ name: String, _ sentence: String, default fallback: [String]? = nil) -> Key {
        Key(name, sentence, kind: "text or a list of texts", fallback: fallback.map { _ in "none" }) {
            try $0.strings($1, default: fallback)
        }
    }
}

extension Key where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    package static func choice(_ name: String, _ sentence: String, default fallback: Value) -> Key {
        let all = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return Key(name, sentence, kind: "one of " + all, fallback: fallback.rawValue) {
            try $0.choice($1, default: fallback)
        }
    }
}

extension Key where Value == Section {
    /// A mapping, empty where it is left out.
    package static func section(_ name: String, _ sentence: String) -> Key {
        Key(name, sentence, kind: "mapping", fallback: absent) { try $0.section($1) }
    }
}

extension Key where Value == [Section] {
    /// A list of mappings, empty where it is left out.
    package static func sections(_ name: String, _ sentence: String) -> Key {
        Key(name, sentence, kind: "list of mappings", fallback: "none") { try $0.sections($1) }
    }
}

private func shown(_ range: ClosedRange<Int>) -> String {
    range.upperBound >= largestCount
        ? (range.lowerBound == 0 ? "" : ", at least \(range.lowerBound)")
        : " in \(range.lowerBound)...\(range.upperBound)"
}

private func shown(_ range: ClosedRange<Double>) -> String {
    range.upperBound == .infinity
        ? (range.lowerBound == 0 ? ", at least 0" : ", at least \(range.lowerBound)")
        : " in \(range.lowerBound)...\(range.upperBound)"
}
