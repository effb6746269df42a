import TensorCore
import TestKit
import Testing

@Suite struct OpTests {
    @Test("Every device agrees with the reference on values and gradients", arguments: opCases, devices)
    func parity(_ op: OpCase, _ device: TestDevice) {
        #expect(op.parity(of: device.make()) <= 1)
    }

    @Test("So it does in bfloat16 where it computes in it", arguments: opCases, devices)
    func bfloat16(_ op: OpCase, _ device: TestDevice) {
        let device = device.make()
        guard op.isDefined(on: device, as: .bfloat16) else { return }
        #expect(op.parity(of: device, as: .bfloat16) <= 1)
    }

    // Central differences in double precision with step 1e-5 are good to about 1e-8.
    @Test("Gradient rules agree with finite differences", arguments: opCases)
    func gradients(_ op: OpCase) {
        #expect(op.finiteDifference() < 1e-6)
    }

    @Test("Any number of threads, and any order of them, gives the same bits", arguments: opCases, devices)
    func determinism(_ op: OpCase, _ device: TestDevice) {
        for element in [Element.float32, .bfloat16] where op.isDefined(on: device.make(), as: element) {
            let bits = device.variants.map { op.bits(on: $0(), as: element) }
            #expect(bits.allSatisfy { $0 == bits[0] })
        }
    }
}
