import Foundation
import TensorCPU
import TensorCore
import TestKit
import Testing

@Suite struct OpTests {
    @Test("The CPU device agrees with the reference on values and gradients", arguments: opCases)
    func parity(_ op: OpCase) {
        #expect(op.parity(of: CPUDevice(threads: 2)) <= 1)
    }

    @Test("So do its products by OpenBLAS", arguments: opCases)
    func parityThroughOpenBLAS(_ op: OpCase) {
        #expect(op.parity(of: CPUDevice(threads: 2, ownProducts: false)) <= 1)
    }

    // Central differences in double precision with step 1e-5 are good to about 1e-8.
    @Test("Gradient rules agree with finite differences", arguments: opCases)
    func gradients(_ op: OpCase) {
        #expect(op.finiteDifference() < 1e-6)
    }

    @Test("One, two and three threads give the same bits", arguments: opCases)
    func determinism(_ op: OpCase) {
        let one = op.bits(threads: 1)
        #expect(op.bits(threads: 2) == one)
        #expect(op.bits(threads: 3) == one)
    }
}
