import Foundation
import Support
package import TensorCore

/// k-means (Lloyd 1982) whose assignments can be held at equal sizes, over points taken a chunk at a time with
/// running sums: beside the points one chunk's distances are in memory. A function of points, settings and seed alone.
package struct KMeans: Sendable {
    /// How a chunk's points are kept from crowding around few centres, while centres are fitted.
    package enum Balance: String, Sendable, CaseIterable { case none, sinkhorn, auction }
    package enum Start: String, Sendable, CaseIterable {
        /// Arthur and Vassilvitskii 2007, of several candidates the best at every turn.
        case plusPlus = "k-means++"
        /// Points drawn without replacement.
        case random
    }

    package var clusters: Int
    package var balance = Balance.none
    package var start = Start.plusPlus
    package var iterations = 50
    /// Fits from this many starts and keeps the one with the least inertia.
    package var restarts = 1
    package var chunk = 4096
    /// Of Sinkhorn.
    package var epsilon = 0.05
    package var seed: UInt64 = 0

    package init(clusters: Int) { self.clusters = clusters }

    package struct Fit: Sendable {
        /// [k,D]
        package let centres: [Float]
        /// The sum of squared distances to the assigned centres in the last pass.
        package let inertia: Double
        package let sizes: [Int]
        package let iterations: Int
    }

    /// - Parameter values: N points [N,D]
    /// - Throws: `Failure(.badData)` for fewer points than clusters.
    package func fit(_ values: [Float], width: Int, on device: any Device) throws -> Fit {
        let count = values.count / width
        guard count >= clusters else {
            throw Failure(
                .badData, "clusters", "\(clusters) clusters need as many captions, the sample has \(count)",
                remedy: "Lower the number of clusters or raise the sample")
        }
        let points = PointSet(values, width: width, on: device)
        var best = fit(points, 0)
        for restart in 1..<max(1, restarts) {
            let next = fit(points, restart)
            if next.inertia < best.inertia { best = next }
        }
        return best
    }

    private func fit(_ points: PointSet, _ restart: Int) -> Fit {
        let (count, width) = (points.count, points.width)
        var random = RandomStream(seed: seed, purpose: "k-means", sample: restart)
        var centres = start(points, &random)
        // sklearn's rule: the centres' shift, summed, against the points' mean variance.
        let tolerance = 1e-4 * meanVariance(points.values, width)
        var previous: [Int] = []
        for iteration in 1... {
            var sums = [Double](repeating: 0, count: clusters * width)
            var sizes = [Int](repeating: 0, count: clusters)
            var inertia = 0.0
            var assigned: [Int] = []
            var farthest: [(distance: Float, point: Int)] = []
            assigned.reserveCapacity(count)
            for range in chunks(count) {
                let distances = points.squaredDistances(range, to: centres)
                let choice = assign(distances)
                for (offset, c) in choice.enumerated() {
                    let distance = distances[offset * clusters + c]
                    inertia += Double(distance)
                    sizes[c] += 1
                    if balance == .none { Self.keep(&farthest, (distance, range.lowerBound + offset), clusters) }
                    let (from, to) = ((range.lowerBound + offset) * width, c * width)
                    for d in 0..<width { sums[to + d] += Double(points.values[from + d]) }
                }
                assigned += choice
            }
            var next = centres
            var shift = 0.0
            for c in 0..<clusters {
                for d in 0..<width {
                    // A centre without points moves to the point that lies farthest from its own.
                    let value =
                        sizes[c] > 0
                        ? Float(sums[c * width + d] / Double(sizes[c]))
                        : farthest.isEmpty ? centres[c * width + d] : points.values[farthest[0].point * width + d]
                    shift += Double((value - centres[c * width + d]) * (value - centres[c * width + d]))
                    next[c * width + d] = value
                }
                if sizes[c] == 0, !farthest.isEmpty { farthest.removeFirst() }
            }
            let isSettled = shift <= tolerance || assigned == previous
            if isSettled || iteration >= iterations {
                return Fit(centres: next, inertia: inertia, sizes: sizes, iterations: iteration)
            }
            (centres, previous) = (next, assigned)
        }
        preconditionFailure("unreachable")
    }

    /// All chunks but the last are multiples of the number of clusters, so that balanced sizes differ by one at most;
    /// the last takes what would not fill one of its own.
    private func chunks(_ count: Int) -> [Range<Int>] {
        let size = max(1, chunk / clusters) * clusters
        let whole = max(1, count / size)
        return (0..<whole).map { $0 * size..<($0 == whole - 1 ? count : ($0 + 1) * size) }
    }

    private func assign(_ distances: [Float]) -> [Int] {
        switch balance {
        case .none:
            return (0..<distances.count / clusters).map { row in
                let start = row * clusters
                return (0..<clusters).min { distances[start + $0] < distances[start + $1] } ?? 0
            }
        case .auction: return Auction.assign(distances.map { -$0 }, centres: clusters)
        case .sinkhorn: return Sinkhorn.assign(distances.map { -$0 }, centres: clusters, epsilon: epsilon)
        }
    }

    private func start(_ points: PointSet, _ random: inout RandomStream) -> [Float] {
        let (count, width) = (points.count, points.width)
        func row(_ point: Int) -> ArraySlice<Float> { points.values[point * width..<(point + 1) * width] }
        switch start {
        case .random:
            var order = Array(0..<count)
            random.shuffle(&order)
            return order.prefix(clusters).flatMap(row)
        case .plusPlus:
            var centres = Array(row(random.integer(below: count)))
            var nearest = points.squaredDistances(0..<count, to: centres)
            let candidates = 2 + Int(log(Double(clusters)))
            while centres.count < clusters * width {
                let total = nearest.reduce(0.0) { $0 + Double($1) }
                let drawn = (0..<candidates).map { _ -> Int in
                    var left = random.uniform() * total
                    return nearest.firstIndex {
                        left -= Double($0)
                        return left < 0
                    } ?? count - 1
                }
                let tried = points.squaredDistances(0..<count, to: drawn.flatMap(row))
                let improved = drawn.indices.map { c in
                    nearest.indices.reduce(0.0) { $0 + Double(min(nearest[$1], tried[$1 * candidates + c])) }
                }
                let best = improved.indices.min { improved[$0] < improved[$1] } ?? 0
                for point in nearest.indices { nearest[point] = min(nearest[point], tried[point * candidates + best]) }
                centres += row(drawn[best])
            }
            return centres
        }
    }

    private func meanVariance(_ points: [Float], _ width: Int) -> Double {
        var (sums, squares) = ([Double](repeating: 0, count: width), 0.0)
        for (index, value) in points.enumerated() {
            sums[index % width] += Double(value)
            squares += Double(value) * Double(value)
        }
        let count = Double(points.count / width)
        return (squares / count - sums.reduce(0) { $0 + $1 / count * ($1 / count) }) / Double(width)
    }

    /// Keeps the `limit` largest, largest first.
    private static func keep(_ list: inout [(distance: Float, point: Int)], _ item: (Float, Int), _ limit: Int) {
        if list.count >= limit {
            guard item.0 > list[list.count - 1].distance else { return }
            list.removeLast()
        }
        list.insert(item, at: list.firstIndex { $0.distance < item.0 } ?? list.count)
    }

    /// Every point's nearest centre and the squared distance to it; ties to the lower index.
    package static func nearest(
        _ points: [Float], _ centres: [Float], width: Int, on device: any Device, chunk: Int = 4096
    ) -> [(centre: Int, squaredDistance: Float)] {
        let k = centres.count / width
        let points = PointSet(points, width: width, on: device)
        return stride(from: 0, to: points.count, by: chunk).flatMap { start in
            let range = start..<min(points.count, start + chunk)
            let distances = points.squaredDistances(range, to: centres)
            return (0..<range.count).map { row in
                let best = (0..<k).min { distances[row * k + $0] < distances[row * k + $1] } ?? 0
                return (best, distances[row * k + best])
            }
        }
    }
}

/// Points on a device with their squared lengths.
private struct PointSet {
    /// [N,D]
    let values: [Float]
    let width: Int
    private let tensor: Tensor
    private let squares: [Float]

    init(_ values: [Float], width: Int, on device: any Device) {
        self.values = values
        self.width = width
        tensor = device.tensor(values, shape: [values.count / width, width])
        squares = Self.squares(values, width)
    }

    var count: Int { squares.count }

    private static func squares(_ values: [Float], _ width: Int) -> [Float] {
        stride(from: 0, to: values.count, by: width).map { start in
            values[start..<start + width].reduce(0) { $0 + $1 * $1 }
        }
    }

    /// |x - c|^2 of some points to all centres [k,D]: [range, k], at least 0.
    func squaredDistances(_ range: Range<Int>, to centres: [Float]) -> [Float] {
        let count = centres.count / width
        let theirs = Self.squares(centres, width)
        let c = tensor.device.tensor(centres, shape: [count, width])
        var distances = withoutTape { matmul(tensor.slice(range), c, transposeB: true) }.floats
        distances.withUnsafeMutableBufferPointer { distances in
            for row in 0..<range.count {
                for column in 0..<count {
                    let index = row * count + column
                    distances[index] = max(0, squares[range.lowerBound + row] + theirs[column] - 2 * distances[index])
                }
            }
        }
        return distances
    }
}
