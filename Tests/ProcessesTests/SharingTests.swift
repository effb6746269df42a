import Processes
import Support
import TestKit
import Testing

@Suite struct SharingTests {
    @Test("Every piece is somebody's, and nobody has two more than another", arguments: [1, 2, 3, 7])
    func shares(_ ranks: Int) throws {
        for count in [0, 1, 5, 14] {
            let shares = try ThreadGroup.run(ranks) { $0.share(of: count) }
            #expect(shares.flatMap { Array($0) } == Array(0..<count))
            #expect((shares.map(\.count).max() ?? 0) - (shares.map(\.count).min() ?? 0) <= 1)
        }
    }

    @Test("Rows of all ranks are rank 0's, in the order of the ranks")
    func collected() throws {
        let rows = try ThreadGroup.run(4) { group in
            // Rank 1 has none.
            try group.collected([Float](repeating: Float(group.rank), count: group.rank == 1 ? 0 : 2), "rows")
        }
        #expect(rows == [[0, 0, 2, 2, 3, 3], [], [], []])
        #expect(try Alone().collected([5], "rows") == [5])
    }

    @Test("Groups of a group speak among themselves")
    func subgroups() throws {
        let found = try ThreadGroup.run(4) { group in
            let first = group.rank / 2 * 2
            let own = SubGroup([first, first + 1], of: group)
            let told = try own.gathered([Double(group.rank)], "ranks").map { $0[0] }
            let shared = try own.shared("of \(group.rank)", "a text")
            return (told: told, shared: shared, name: own.name(of: 1), rank: own.rank)
        }
        #expect(found.map(\.told) == [[0, 1], [0, 1], [2, 3], [2, 3]])
        #expect(found.map(\.shared) == ["of 0", "of 0", "of 2", "of 2"])
        #expect(
            found.map(\.name) == ["rank 1 (thread 1)", "rank 1 (thread 1)", "rank 1 (thread 3)", "rank 1 (thread 3)"])
        #expect(found.map(\.rank) == [0, 1, 0, 1])
    }
}
