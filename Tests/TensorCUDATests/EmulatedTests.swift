import Optimizers
import Layers
import Learning
import CUDAEmulator
import Support
import TensorCPU
import TensorCUDA
import TensorCore
import TestKit
import Testing

@Suite struct EmulatedTests {
    @Test(
        "Ten steps of small models follow the CPU's: to 1e-4 in float32, to 1 % in bfloat16",
        arguments: TenSteps.all)
    func steps(_ model: TenSteps) throws {
        for precision in [Precision.fp32, .bf16] {
            let device = CUDADevice(EmulatedCUDA(), precision: precision)
            let run = try model.run(on: device, as: precision.element)
            #expect(try model.isClose(run, precision).isClose)
        }
    }

    @Test("They end with the same bits whatever the order of threads and copies", arguments: TenSteps.all)
    func order(_ model: TenSteps) throws {
        for element in [Element.float32, .bfloat16] {
            let runs = try EmulatedCUDA.Schedule.allCases.map {
                try model.run(on: CUDADevice(EmulatedCUDA($0), mostShared: $0 == .greedy ? 8 << 10 : nil), as: element)
            }
            #expect(runs.allSatisfy { $0.losses == runs[0].losses && $0.weights == runs[0].weights })
        }
    }

    @Test("Where the card has no memory left that is said, nothing more is done, and values can still be read")
    func memory() {
        let device = CUDADevice(EmulatedCUDA(limit: 100 << 20))
        let kept = device.filled(2, shape: [1 << 20])
        let large = device.filled(1, shape: [64 << 20])
        #expect(device.failure?.keepsValues == true)
        #expect(device.failure?.problem.contains("no memory") == true)
        kept.scale(by: 3)
        #expect(kept.floats.allSatisfy { $0 == 2 })
        withExtendedLifetime(large) {}
    }

    @Test("What lies idle in small pieces is given back before memory is said to be full")
    func pieces() {
        let device = CUDADevice(EmulatedCUDA(limit: 200 << 20))
        var small = (0..<2).map { _ in device.filled(1, shape: [15 << 20]) }  // 60 MB each, a piece of 64 MB each
        small = []
        let large = device.filled(5, shape: [45 << 20])
        #expect(device.failure == nil)
        #expect(large.slice(0..<1).scalar == 5)
        withExtendedLifetime(small) {}
    }

    @Test("A step that the card has no memory for changes no weight, counts no update and says nothing of its loss")
    func stepWithoutMemory() throws {
        let model = TenSteps.all[0]
        let device = CUDADevice(EmulatedCUDA(limit: 64 << 20 | 4096))
        var step = try model.start(on: device, as: .float32)
        #expect(try step(model.batch(on: device, count: 6), rate: 1e-3).wait().isFinite)
        let before = step.task.model.state.map { $0.value.floats }
        let result = try step(model.batch(on: device, count: 600), rate: 1e-3)
        #expect(device.failure?.keepsValues == true)
        #expect(!result.wait().isFinite)
        #expect(step.optimizer.step == 1)
        #expect(step.task.model.state.map { $0.value.floats } == before)
    }
}
