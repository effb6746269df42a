package import Support

/// Faults by reason, with one example of each.
package struct FaultTally: Sendable, Equatable {
    /// Faulty samples by reason.
    package private(set) var counts: [String: Int] = [:]
    /// The first of each reason, fit to be shown.
    package private(set) var examples: [String: String] = [:]
    /// Samples looked at, good ones included.
    package var seen = 0

    package init() {}

    /// As `json` writes it; anything else is an empty tally.
    package init(_ json: JSON) {
        seen = json["seen"]?.integer ?? 0
        counts = (json["counts"]?.object ?? [:]).compactMapValues(\.integer).filter { $0.value > 0 }
        examples = (json["examples"]?.object ?? [:]).compactMapValues(\.string)
    }

    package var json: JSON {
        [
            "seen": .integer(seen), "counts": .object(counts.mapValues { .integer($0) }),
            "examples": .object(examples.mapValues { .string($0) }),
        ]
    }

    /// Faulty samples of any reason.
    package var total: Int { counts.values.reduce(0, &+) }

    package mutating func add(_ reason: String, example: String) {
        counts[reason, default: 0] += 1
        if examples[reason] == nil { examples[reason] = example.shownName }
    }

    /// Another's faults with ours.
    package mutating func add(_ other: FaultTally) {
        seen += other.seen
        for (reason, count) in other.counts { counts[reason, default: 0] += count }
        examples.merge(other.examples) { ours, _ in ours }
    }

    /// "3 truncated image (first: a/b.tar: 0012), 1 empty caption (...)"
    package var summary: String {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.value) \($0.key) (first: \(examples[$0.key] ?? "?"))" }.joined(separator: ", ")
    }
}
