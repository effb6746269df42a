import Foundation
import Processes
import Records
import Shards
import Support

/// A step's times, memory and faults at this rank, from its beginning on.
struct StepClock {
    private let start = Machine.now()
    private let waitedForData: Double
    private let waitedForOthers: Double

    init(_ batches: Batcher, _ group: any ProcessGroup) {
        (waitedForData, waitedForOthers) = (batches.waited, group.waited)
    }

    /// Of all ranks.
    struct Shared {
        /// The slowest rank's.
        var seconds: Double
        var dataWait: Double
        var peakMemory: Int
        var isStopping: Bool
        var faults: FaultTally
        /// nil for one process.
        var ranks: RanksRecord?
    }

    /// Collective, once a step.
    func shared(over group: any ProcessGroup, _ batches: Batcher) throws -> Shared {
        let seconds = Machine.now() - start
        let (data, others) = (batches.waited - waitedForData, group.waited - waitedForOthers)
        let faults = batches.takeFaults()
        let mine = [
            seconds, data, others, Double(Machine.peakMemory), Interruption.isRequested ? 1 : 0, Double(faults.total),
            Double(faults.seen),
        ]
        let all = try group.gathered(mine, "times and faults")
        func largest(_ index: Int) -> Double { all.map { $0[index] }.max() ?? 0 }
        var together = faults
        if group.size > 1 {
            together = FaultTally()
            if largest(5) > 0 {
                for text in try group.texts(faults.json.text(), "faults") {
                    together.add(FaultTally(try JSON(parsing: Data(text.utf8), path: "faults of another rank")))
                }
            } else {
                together.seen = Int(all.reduce(0) { $0 + $1[6] })
            }
        }
        let whole = largest(0)
        var shared = Shared(
            seconds: whole, dataWait: largest(1) / whole, peakMemory: Int(largest(3)), isStopping: largest(4) > 0,
            faults: together)
        guard group.size > 1 else { return shared }
        let compute = all.map { $0[0] - $0[1] - $0[2] }
        shared.ranks = RanksRecord(
            count: group.size, slowest: compute.indices.max { compute[$0] < compute[$1] } ?? 0,
            computeSeconds: (compute.min() ?? 0, compute.max() ?? 0), exchangeFraction: largest(2) / whole)
        return shared
    }
}
