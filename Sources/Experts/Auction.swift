import Support

/// Points dealt out to centres of equal size, the sum of values as large as it gets within (points x epsilon). Where the
/// sizes cannot be equal, the points left over are dealt to their nearest centres afterwards, without that promise.
///
/// Bertsekas 1988, "The auction algorithm": each point without a place bids for the centre it gains most from, so
/// much that its second choice would do as well; a full centre gives up the point that bid least.
package enum Auction {
    /// - Parameters:
    ///   - values: [N,k], what a point is worth to a centre (minus the squared distance)
    ///   - centres: k, at most N
    /// - Returns: the centre of each point; every centre has floor(N / k) or one more
    package static func assign(_ values: [Float], centres: Int) -> [Int] {
        let count = values.count / centres
        precondition(count >= centres, "\(count) points cannot fill \(centres) centres")
        guard centres > 1 else { return [Int](repeating: 0, count: count) }
        let (size, rest) = count.quotientAndRemainder(dividingBy: centres)
        let (low, high) = (values.min() ?? 0, values.max() ?? 0)
        let epsilon = max(1e-4, (high - low) / 50)
        // The points left over stay, for now, in a place of their own that is as good as their best centre.
        var capacity = [Int](repeating: size, count: centres)
        if rest > 0 { capacity.append(rest) }
        var places = capacity.map { Place(capacity: $0) }
        var choice = [Int](repeating: -1, count: count)
        var waiting = Array((0..<count).reversed())
        values.withUnsafeBufferPointer { values in
            while let point = waiting.popLast() {
                let row = values.start + point * centres
                var (best, bestGain, second, worth) = (-1, -Float.infinity, -Float.infinity, -Float.infinity)
                for c in 0..<centres {
                    worth = max(worth, row[c])
                    let gain = row[c] - places[c].price
                    if gain > bestGain {
                        (best, bestGain, second) = (c, gain, bestGain)
                    } else if gain > second {
                        second = gain
                    }
                }
                if rest > 0 {
                    let gain = worth - places[centres].price
                    if gain > bestGain {
                        (best, bestGain, second) = (centres, gain, bestGain)
                    } else if gain > second {
                        second = gain
                    }
                }
                let bid = places[best].price + bestGain - second + epsilon
                choice[point] = best
                if let out = places[best].take(point, bid) {
                    choice[out] = -1
                    waiting.append(out)
                }
            }
        }
        // Then each of them goes to the nearest centre that has none of them yet.
        var isFree = [Bool](repeating: true, count: centres)
        for point in 0..<count where choice[point] == centres {
            let row = values[point * centres..<(point + 1) * centres]
            let best =
                (0..<centres).filter { isFree[$0] }.max {
                    row[row.startIndex + $0] < row[row.startIndex + $1]
                } ?? 0
            choice[point] = best
            isFree[best] = false
        }
        return choice
    }

    /// A centre with its points, the lowest bid on top.
    private struct Place {
        let capacity: Int
        private var heap: [(bid: Float, point: Int)] = []

        init(capacity: Int) { self.capacity = capacity }

        /// What a newcomer has to outbid.
        var price: Float { heap.count < capacity ? 0 : heap[0].bid }

        /// Takes a point in; gives the one that has to leave.
        mutating func take(_ point: Int, _ bid: Float) -> Int? {
            if heap.count < capacity {
                heap.append((bid, point))
                var child = heap.count - 1
                while child > 0, Self.isBelow(heap[child], heap[(child - 1) / 2]) {
                    heap.swapAt(child, (child - 1) / 2)
                    child = (child - 1) / 2
                }
                return nil
            }
            let out = heap[0].point
            heap[0] = (bid, point)
            var parent = 0
            while true {
                let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < heap.count }
                guard let least = children.min(by: { Self.isBelow(heap[$0], heap[$1]) }),
                    Self.isBelow(heap[least], heap[parent])
                else { return out }
                heap.swapAt(least, parent)
                parent = least
            }
        }

        private static func isBelow(_ a: (bid: Float, point: Int), _ b: (bid: Float, point: Int)) -> Bool {
            (a.bid, a.point) < (b.bid, b.point)
        }
    }
}
