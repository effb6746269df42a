import Foundation
import Support

/// The same images judged twice: the mean difference of each metric with its interval.
public struct PairedComparison: Sendable {
    public struct Value: Sendable {
        public let name: String
        public let base: Double
        public let other: Double
        /// Of other - base: 95 %, percentile bootstrap over images, 1,000 resamples, seed 0.
        public let low: Double
        public let high: Double
    }

    public let values: [Value]
    public let count: Int

    /// - Parameters:
    ///   - base: files that `eval --answers` wrote, of one run or several
    ///   - other: as many, of the same images in the same order
    /// - Throws: `Failure(.badData)` when they are not of the same images.
    public init(_ base: [String], against other: [String]) throws {
        guard base.count == other.count else {
            throw Failure(.usage, "compare", "\(base.count) files on one side, \(other.count) on the other")
        }
        var rows: [(base: [String: Double], other: [String: Double])] = []
        for (first, second) in zip(base, other) {
            let (left, right) = (try Self.read(first), try Self.read(second))
            guard left.map(\.key) == right.map(\.key) else {
                throw Failure(.badData, second, "is not about the same images as \(first)")
            }
            rows += zip(left, right).map { ($0.hits, $1.hits) }
        }
        guard let first = rows.first else { throw Failure(.badData, base.first ?? "compare", "holds no answers") }
        count = rows.count
        values = first.base.keys.filter { name in rows.allSatisfy { $0.base[name] != nil && $0.other[name] != nil } }
            .sorted().map { name in
                let difference = Metric.mean(name, rows.map { $0.other[name]! - $0.base[name]! })
                let (low, high) = difference.interval
                let share = 1 / Double(rows.count)
                return Value(
                    name: name, base: rows.reduce(0) { $0 + $1.base[name]! } * share,
                    other: rows.reduce(0) { $0 + $1.other[name]! } * share, low: low, high: high)
            }
    }

    private static func read(_ path: String) throws -> [(key: String, hits: [String: Double])] {
        try String(decoding: readFile(path), as: UTF8.self).split(separator: "\n").enumerated().map { number, line in
            let place = "\(path):\(number + 1)"
            let json = try JSON(parsing: Data(line.utf8), path: place)
            guard let key = json["key"]?.string, let hits = json["hits"]?.object else {
                throw Failure(.badData, place, "is no line that eval --answers wrote")
            }
            return (key, hits.compactMapValues(\.number))
        }
    }

    public var json: JSON {
        .object(
            Dictionary(
                uniqueKeysWithValues: values.map {
                    (
                        $0.name,
                        [
                            "base": .number($0.base), "other": .number($0.other),
                            "difference": .number($0.other - $0.base), "interval": [.number($0.low), .number($0.high)],
                        ]
                    )
                }))
    }
}
