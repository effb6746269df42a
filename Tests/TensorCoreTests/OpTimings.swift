import Foundation
import TensorCPU
import TestKit
import Testing

/// Not a test of speed: prints each operation's time when DIPTYCH_TIMING is set.
@Suite(
    .serialized,
    .enabled(
        if: ProcessInfo.processInfo.environment["DIPTYCH_TIMING"] != nil, "prints timings when DIPTYCH_TIMING is set"))
struct OpTimings {
    @Test("Time of every operation", arguments: opCases)
    func timing(_ op: OpCase) {
        let (forward, both) = op.timing(on: CPUDevice())
        #expect(both > 0)
        print(String(format: "%8.3f ms forward %8.3f ms with backward  ", forward * 1e3, both * 1e3) + op.name)
    }
}
