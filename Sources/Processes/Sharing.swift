package import Support

// Work whose pieces have nothing to do with each other, dealt out among the ranks.
extension ProcessGroup {
    /// The pieces of `count` that a rank does: neighbours, as many as the others or one more.
    package func share(of count: Int) -> Range<Int> { count * rank / size..<count * (rank + 1) / size }

    /// The rows of all ranks, one rank's after the other's, at rank 0; none at the others. Waits.
    package func collected(_ mine: [Float], _ what: String) throws -> [Float] {
        guard size > 1 else { return mine }
        let counts = try gathered([Double(mine.count)], what).map { Int($0[0]) * 4 }
        let bytes = HostBytes(count: isRoot ? counts.reduce(0, +) : mine.count * 4)
        bytes.copy(mine)
        let ends = counts.indices.map { counts[...$0].reduce(0, +) }
        let others = counts.indices.filter { $0 > 0 && counts[$0] > 0 }
        try exchange(
            isRoot || mine.isEmpty ? [] : [Message(0, bytes)],
            isRoot ? others.map { Message($0, bytes, ends[$0] - counts[$0]..<ends[$0]) } : [], what
        ).wait()
        return isRoot ? bytes.array(of: Float.self) : []
    }
}

/// Some of a group's ranks as a group of their own.
package struct SubGroup: ProcessGroup {
    private let whole: any ProcessGroup
    /// Of the whole, in their order here.
    private let ranks: [Int]
    package let rank: Int

    /// - Parameter ranks: of the whole; this one is among them
    package init(_ ranks: [Int], of whole: any ProcessGroup) {
        guard let rank = ranks.firstIndex(of: whole.rank) else { preconditionFailure("a rank of another group") }
        (self.whole, self.ranks, self.rank) = (whole, ranks, rank)
    }

    package var size: Int { ranks.count }
    package var hosts: [String] { ranks.map { whole.hosts[$0] } }
    package var waited: Double { whole.waited }
    package func enter(_ place: String) { whole.enter(place) }

    private var others: [Int] { (1..<size).map { (rank + $0) % size } }

    package func allGather(_ mine: HostBytes, into all: HostBytes, _ what: String) -> Transfer {
        all.part(rank * mine.count..<(rank + 1) * mine.count).copyMemory(from: mine.bytes)
        return exchange(
            others.map { Message($0, mine) },
            others.map { Message($0, all, $0 * mine.count..<($0 + 1) * mine.count) }, what)
    }

    package func exchange(_ sends: [Message], _ receives: [Message], _ what: String) -> Transfer {
        func placed(_ messages: [Message]) -> [Message] {
            messages.map { Message(ranks[$0.rank], $0.bytes, $0.range) }
        }
        return whole.exchange(placed(sends), placed(receives), what)
    }

    package func broadcast(_ bytes: HostBytes, from root: Int, _ what: String) -> Transfer {
        rank == root
            ? exchange(others.map { Message($0, bytes) }, [], what) : exchange([], [Message(root, bytes)], what)
    }

    package func meet(_ mine: Double) throws -> [Double] { try gathered([mine], "others").map { $0[0] } }
    package func abort(_ code: Int32) -> Never { whole.abort(code) }
    package func finish() {}
}
