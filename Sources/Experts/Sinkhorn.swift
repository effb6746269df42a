import Foundation
import Support

/// The transport plan between points and centres whose two marginals are uniform.
///
/// Sinkhorn and Knopp 1967; for clustering Caron et al. 2020, arXiv:2006.09882: exp(values / epsilon) with rows and
/// columns scaled in turn until both sums are right.
package enum Sinkhorn {
    /// - Parameters:
    ///   - values: [N,k]
    ///   - epsilon: the smaller, the closer to a hard assignment and the more turns it takes
    ///   - tolerance: of the marginals, relative
    /// - Returns: [N,k]; every row sums to 1/N, every column to 1/k
    /// - Throws: `Failure(.badData)` when the marginals are not reached.
    package static func plan(
        _ values: [Float], centres: Int, epsilon: Double = 0.05, tolerance: Double = 1e-7, turns: Int = 20_000
    ) throws -> [Double] {
        let (plan, isReached) = scaled(values, centres, epsilon, tolerance, turns)
        guard isReached else {
            throw Failure(
                .badData, "sinkhorn", "the marginals were not reached in \(turns) turns", remedy: "Raise epsilon")
        }
        return plan
    }

    /// Each point's largest share of the plan after at most 50 turns: for fitting centres, near enough to even.
    static func assign(_ values: [Float], centres: Int, epsilon: Double) -> [Int] {
        let plan = scaled(values, centres, epsilon, 1e-4, 50).plan
        return (0..<plan.count / centres).map { row in
            (0..<centres).max { plan[row * centres + $0] < plan[row * centres + $1] } ?? 0
        }
    }

    private static func scaled(
        _ values: [Float], _ centres: Int, _ epsilon: Double, _ tolerance: Double, _ turns: Int
    ) -> (plan: [Double], isReached: Bool) {
        let count = values.count / centres
        var plan = [Double](repeating: 0, count: values.count)
        for row in 0..<count {
            let range = row * centres..<(row + 1) * centres
            let largest = Double(values[range].max() ?? 0)
            for index in range { plan[index] = exp((Double(values[index]) - largest) / epsilon) }
        }
        var rows = [Double](repeating: 1, count: count)
        var columns = [Double](repeating: 1, count: centres)
        var isReached = false
        for _ in 0..<turns {
            // Rows first, then the columns; how far the columns were off says how far the plan is.
            var sums = [Double](repeating: 0, count: centres)
            plan.withUnsafeBufferPointer { plan in
                for row in 0..<count {
                    let start = plan.start + row * centres
                    var sum = 0.0
                    for c in 0..<centres { sum += start[c] * columns[c] }
                    rows[row] = 1 / (sum * Double(count))
                    for c in 0..<centres { sums[c] += start[c] * rows[row] }
                }
            }
            var worst = 0.0
            for c in 0..<centres {
                // A centre so far from all points that nothing is left of it keeps its scale.
                guard sums[c] > 1e-300 else { continue }
                worst = max(worst, abs(sums[c] * columns[c] * Double(centres) - 1))
                columns[c] = 1 / (sums[c] * Double(centres))
            }
            isReached = worst <= tolerance
            if isReached { break }
        }
        for index in plan.indices { plan[index] *= rows[index / centres] * columns[index % centres] }
        return (plan, isReached)
    }
}
