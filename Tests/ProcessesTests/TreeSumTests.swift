import Processes
import Support
import TestKit
import Testing

@Suite struct TreeSumTests {
    /// Heavy-tailed values: sums in another order have other bits.
    private func slice(_ number: Int) -> [Float] {
        var stream = RandomStream(seed: 4, purpose: "slice \(number)")
        return (0..<64).map { _ in Float(stream.normal() * stream.normal() * 1000 * stream.normal()) }
    }

    private func sum(slices: Int, ranks: Int) -> [Float] {
        let share = slices / ranks
        var pieces = (0..<ranks).map { rank in
            var counter = BinaryCounter<[Float]> { zip($0, $1).map(+) }
            for slice in 0..<share { counter.push(self.slice(rank * share + slice)) }
            return counter.total() ?? []
        }
        for (into, from) in TreeSum.pairs(ranks) { pieces[into] = zip(pieces[into], pieces[from]).map(+) }
        return pieces[0]
    }

    @Test("One tree for any number of ranks", arguments: [(8, [1, 2, 4, 8]), (24, [1, 3, 6, 12, 24]), (7, [1, 7])])
    func sameBits(_ slices: Int, _ ranks: [Int]) {
        let one = sum(slices: slices, ranks: 1)
        for ranks in ranks { #expect(sum(slices: slices, ranks: ranks) == one, "\(ranks) ranks") }
    }

    @Test("Numbers that do not fit are refused with those that do")
    func misfits() {
        func problem(_ batch: Int, _ slices: Int, _ ranks: Int) -> String? {
            do { try TreeSum.check(batch: batch, slices: slices, ranks: ranks, place: "r.yaml") } catch {
                return "\(error)"
            }
            return nil
        }
        #expect(problem(64, 8, 4) == nil)
        #expect(
            problem(60, 8, 1)
                == "r.yaml: slices: a batch of 60 is not 8 equal slices. The nearest that divide it: 6 and 10.")
        #expect(
            problem(60, 6, 2)
                == "r.yaml: 6 slices over 2 processes: each process must hold 1, 2, 4, 8 ... of them. With 6 slices the nearest are 1 and 3 processes."
        )
    }

    @Test("Gathers, exchanges and broadcasts reach every rank")
    func threads() throws {
        let seen = try ThreadGroup.run(3) { group in
            let (values, texts) = (
                try group.gathered([Double(group.rank), 0.5], "test"), try group.texts("r\(group.rank)", "test")
            )
            let shared = try group.shared(group.isRoot ? "from root" : "", "test")
            return "\(values) \(texts) \(shared)"
        }
        #expect(Set(seen) == ["[[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]] [\"r0\", \"r1\", \"r2\"] from root"])
    }
}
