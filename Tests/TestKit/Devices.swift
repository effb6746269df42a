import TensorCPU
import TensorCUDA
package import TensorCore
import TensorReference

/// A device that every operation is tested on.
package struct TestDevice: Sendable, CustomStringConvertible {
    package let description: String
    /// Forms of it that must give the same bits: other numbers of threads.
    package let variants: [@Sendable () -> any Device]

    package func make() -> any Device { variants[0]() }
}

/// A new device is one line here.
package let devices: [TestDevice] = [
    TestDevice(
        description: "CPU", variants: [2, 1, 3].map { threads in { CPUDevice(threads: threads) } }),
    TestDevice(
        description: "CPU with products by OpenBLAS",
        variants: [2, 1].map { threads in { CPUDevice(threads: threads, ownProducts: false) } }),
    TestDevice(
        description: "emulated CUDA",
        variants: EmulatedCUDA.Schedule.allCases.map { schedule in
            // Half of them take little shared memory, for which some kernels go another way.
            { CUDADevice(EmulatedCUDA(schedule), mostShared: schedule.rawValue % 2 == 0 ? nil : 32 << 10) }
        }),
    TestDevice(description: "reference", variants: [{ ReferenceDevice() }, { ReferenceDevice() }]),
]
