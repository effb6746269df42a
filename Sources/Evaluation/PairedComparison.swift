import Foundation
package import Support

/// The same images judged twice: the mean difference of each metric with its interval.
package struct PairedComparison: Sendable {
    package struct Value: Sendable {
        package let name: String
        package let base: Double
        package let other: Double
        /// other - base of each pair of files.
        package let runs: [Double]
        /// Of other - base: 95 %, percentile bootstrap over images, 1,000 resamples, seed 0. An image that several
        /// runs answered is drawn with all its answers.
        package let low: Double
        package let high: Double
    }

    package let values: [Value]
    /// Different images.
    package let count: Int

    /// - Parameters:
    ///   - base: files that `eval --answers` wrote, of one run or several
    ///   - other: as many, each of the same images in the same order
    /// - Throws: `Failure(.badData)` when they are not of the same images.
    package init(_ base: [String], against other: [String]) throws {
        guard base.count == other.count else {
            throw Failure(.usage, "compare", "\(base.count) files on one side, \(other.count) on the other")
        }
        let pairs = try zip(base, other).map { first, second in
            let (left, right) = (try Self.read(first), try Self.read(second))
            guard left.map(\.key) == right.map(\.key) else {
                throw Failure(.badData, second, "is not about the same images as \(first)")
            }
            guard !left.isEmpty else { throw Failure(.badData, first, "holds no answers") }
            return (left, right)
        }
        var places: [String: Int] = [:]
        for (left, _) in pairs { for row in left where places[row.key] == nil { places[row.key] = places.count } }
        let images = places.count
        count = images
        let rows = pairs.flatMap { zip($0.0, $0.1) }
        let names = (rows.first?.0.hits.keys.sorted() ?? []).filter { name in
            rows.allSatisfy { $0.0.hits[name] != nil && $0.1.hits[name] != nil }
        }
        values = names.map { name in
            var sums = [(difference: Double, count: Int)](repeating: (0, 0), count: images)
            for (left, right) in rows {
                guard let place = places[left.key] else { continue }
                sums[place].difference += (right.hits[name] ?? 0) - (left.hits[name] ?? 0)
                sums[place].count += 1
            }
            let metric = Metric(name, count: images) { [sums] sample in
                let (sum, number) = sample.reduce((0.0, 0)) { ($0.0 + sums[$1].difference, $0.1 + sums[$1].count) }
                return sum / Double(max(1, number))
            }
            func mean(_ rows: [(key: String, hits: [String: Double])]) -> Double {
                rows.reduce(0) { $0 + ($1.hits[name] ?? 0) } / Double(rows.count)
            }
            let (low, high) = metric.interval
            return Value(
                name: name, base: mean(rows.map(\.0)), other: mean(rows.map(\.1)),
                runs: pairs.map { mean($0.1) - mean($0.0) }, low: low, high: high)
        }
    }

    private static func read(_ path: String) throws -> [(key: String, hits: [String: Double])] {
        try TextLines.read(path).filter { !$0.isEmpty }.enumerated().map { number, line in
            let place = "\(path):\(number + 1)"
            let json = try JSON(parsing: Data(line.utf8), path: place)
            guard let key = json["key"]?.string, let hits = json["hits"]?.object else {
                throw Failure(.badData, place, "is no line that eval --answers wrote")
            }
            return (key, hits.compactMapValues(\.number))
        }
    }

    package var json: JSON {
        .object(
            Dictionary(
                uniqueKeysWithValues: values.map {
                    (
                        $0.name,
                        [
                            "base": .number($0.base), "other": .number($0.other),
                            "difference": .number($0.other - $0.base), "interval": [.number($0.low), .number($0.high)],
                            "runs": .array($0.runs.map { .number($0) }),
                        ]
                    )
                }))
    }
}
