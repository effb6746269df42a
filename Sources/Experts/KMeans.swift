import Foundation
import Support
import TensorCore

/// k-means (Lloyd 1982) whose assignments can be held at equal sizes, over points taken a chunk at a time with
/// running sums: one chunk's distances are in memory at once. A function of points, settings and seed alone.
public struct KMeans: Sendable {
    /// How a chunk's points are kept from crowding around few centres, while centres are fitted.
    public enum Balance: String, Sendable, CaseIterable { case none, sinkhorn, auction }
    public enum Start: String, Sendable, CaseIterable {
        /// Arthur and Vassilvitskii 2007, of several candidates the best at every turn.
        case plusPlus = "k-means++"
        /// Points drawn without replacement.
        case random
    }

    public var clusters: Int
    public var balance: Balance
    public var start: Start
    public var iterations: Int
    /// Fits from this many starts and keeps the one with the least inertia.
    public var restarts: Int
    public var chunk: Int
    /// Of Sinkhorn.
    public var epsilon: Double
    public var seed: UInt64

    public init(
        clusters: Int, balance: Balance = .none, start: Start = .plusPlus, iterations: Int = 50, restarts: Int = 1,
        chunk: Int = 4096, epsilon: Double = 0.05, seed: UInt64 = 0
    ) {
        self.clusters = clusters
        self.balance = balance
        self.start = start
        self.iterations = iterations
        self.restarts = restarts
        self.chunk = chunk
        self.epsilon = epsilon
        self.seed = seed
    }

    public struct Fit: Sendable {
        /// [k,D]
        public let centres: [Float]
        /// The sum of squared distances to the assigned centres in the last pass.
        public let inertia: Double
        public let sizes: [Int]
        public let iterations: Int
    }

    /// - Parameter points: [N,D]
    /// - Throws: `Failure(.badData)` for fewer points than clusters.
    public func fit(_ points: [Float], width: Int, on device: any Device) throws -> Fit {
        let count = points.count / width
        guard count >= clusters else {
            throw Failure(
                .badData, "clusters", "\(clusters) clusters need as many captions, the sample has \(count)",
                remedy: "Lower the number of clusters or raise the sample")
        }
        var best: Fit?
        for restart in 0..<max(1, restarts) {
            let fit = fit(points, width, restart, device)
            if fit.inertia < best?.inertia ?? .infinity { best = fit }
        }
        return best!
    }

    private func fit(_ points: [Float], _ width: Int, _ restart: Int, _ device: any Device) -> Fit {
        let count = points.count / width
        var random = RandomStream(seed: seed, purpose: "k-means", sample: restart)
        var centres = start(points, width, &random, device)
        // sklearn's rule: the centres' shift, summed, against the points' mean variance.
        let tolerance = 1e-4 * meanVariance(points, width)
        var previous: [Int] = []
        for iteration in 1... {
            var sums = [Double](repeating: 0, count: clusters * width)
            var sizes = [Int](repeating: 0, count: clusters)
            var inertia = 0.0
            var assigned: [Int] = []
            var farthest: [(distance: Float, point: Int)] = []
            assigned.reserveCapacity(count)
            for range in chunks(count) {
                let distances = Self.squaredDistances(points, range, centres, width, device)
                let choice = assign(distances)
                for (offset, c) in choice.enumerated() {
                    let distance = distances[offset * clusters + c]
                    inertia += Double(distance)
                    sizes[c] += 1
                    if balance == .none { Self.keep(&farthest, (distance, range.lowerBound + offset), clusters) }
                    let (from, to) = ((range.lowerBound + offset) * width, c * width)
                    for d in 0..<width { sums[to + d] += Double(points[from + d]) }
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
                        : farthest.isEmpty ? centres[c * width + d] : points[farthest[0].point * width + d]
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

    /// The last chunk takes what would not fill one of its own, so that every chunk can fill all centres.
    private func chunks(_ count: Int) -> [Range<Int>] {
        let size = max(chunk, clusters)
        let whole = max(1, count / size)
        return (0..<whole).map { $0 * size..<($0 == whole - 1 ? count : ($0 + 1) * size) }
    }

    private func assign(_ distances: [Float]) -> [Int] {
        switch balance {
        case .none:
            return (0..<distances.count / clusters).map { row in
                let start = row * clusters
                return (0..<clusters).min { distances[start + $0] < distances[start + $1] }!
            }
        case .auction: return Auction.assign(distances.map { -$0 }, centres: clusters)
        case .sinkhorn: return Sinkhorn.assign(distances.map { -$0 }, centres: clusters, epsilon: epsilon)
        }
    }

    private func start(_ points: [Float], _ width: Int, _ random: inout RandomStream, _ device: any Device) -> [Float] {
        let count = points.count / width
        func row(_ point: Int) -> ArraySlice<Float> { points[point * width..<(point + 1) * width] }
        switch start {
        case .random:
            var order = Array(0..<count)
            random.shuffle(&order)
            return order.prefix(clusters).flatMap(row)
        case .plusPlus:
            var centres = Array(row(random.integer(below: count)))
            var nearest = Self.squaredDistances(points, 0..<count, centres, width, device)
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
                let tried = Self.squaredDistances(points, 0..<count, drawn.flatMap(row), width, device)
                let improved = drawn.indices.map { c in
                    nearest.indices.reduce(0.0) { $0 + Double(min(nearest[$1], tried[$1 * candidates + c])) }
                }
                let best = improved.indices.min { improved[$0] < improved[$1] }!
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
            guard item.0 > list.last!.distance else { return }
            list.removeLast()
        }
        list.insert(item, at: list.firstIndex { $0.distance < item.0 } ?? list.count)
    }

    /// |x - c|^2 of some points to all centres, [range, k], at least 0.
    static func squaredDistances(
        _ points: [Float], _ range: Range<Int>, _ centres: [Float], _ width: Int, _ device: any Device
    ) -> [Float] {
        let count = centres.count / width
        func squares(_ values: ArraySlice<Float>) -> [Float] {
            stride(from: values.startIndex, to: values.endIndex, by: width).map { start in
                values[start..<start + width].reduce(0) { $0 + $1 * $1 }
            }
        }
        let own = squares(points[range.lowerBound * width..<range.upperBound * width])
        let theirs = squares(centres[...])
        let x = device.tensor(
            Array(points[range.lowerBound * width..<range.upperBound * width]), shape: [range.count, width])
        let c = device.tensor(centres, shape: [count, width])
        var distances = withoutTape { matmul(x, c, transposeB: true) }.floats
        distances.withUnsafeMutableBufferPointer { distances in
            for row in 0..<range.count {
                for column in 0..<count {
                    let index = row * count + column
                    distances[index] = max(0, own[row] + theirs[column] - 2 * distances[index])
                }
            }
        }
        return distances
    }

    /// Every point's nearest centre and the squared distance to it; ties to the lower index.
    public static func nearest(
        _ points: [Float], _ centres: [Float], width: Int, on device: any Device, chunk: Int = 4096
    ) -> [(centre: Int, squaredDistance: Float)] {
        let (count, k) = (points.count / width, centres.count / width)
        return stride(from: 0, to: count, by: chunk).flatMap { start in
            let range = start..<min(count, start + chunk)
            let distances = squaredDistances(points, range, centres, width, device)
            return (0..<range.count).map { row in
                let best = (0..<k).min { distances[row * k + $0] < distances[row * k + $1] }!
                return (best, distances[row * k + best])
            }
        }
    }
}
