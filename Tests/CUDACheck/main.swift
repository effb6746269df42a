import Foundation
import Support
import TensorCUDA
import TensorCore
import TestKit

// What a GPU must show before anything is timed on it: every operation beside the reference, ten steps beside the CPU, and
// the same bits twice. `--emulated` runs the same on the emulator; `--kernels sm_80 ...` only compiles all kernels, which
// needs NVRTC and no card. Ends with 1 where anything failed.

struct CUDACheck {
    private let isEmulated: Bool
    /// Every operation once and nothing else: for tools that slow it down a hundred times.
    private let isSmall: Bool
    private(set) var failures: [String] = []

    init(_ arguments: [String]) {
        (isEmulated, isSmall) = (arguments.contains("--emulated"), arguments.contains("--small"))
    }

    /// - Parameter shared: bytes of shared memory that attention may take, for its other way
    private func device(_ precision: Precision, _ shared: Int? = nil) throws -> CUDADevice {
        CUDADevice(isEmulated ? EmulatedCUDA() : try CUDADriver(), precision: precision, mostShared: shared)
    }

    private mutating func expect(_ isSo: Bool, _ what: String) throws {
        if !isSo { failures.append(what) }
        try Console.answer("\(isSo ? "pass" : "FAIL")  \(what)")
    }

    func tellFacts() throws {
        guard !isEmulated else { return }
        let driver = try CUDADriver()
        let facts = driver.properties
        try Console.answer(
            "\(driver.name), compute capability \(facts.capability.0).\(facts.capability.1), \(facts.processors) "
                + "multiprocessors, \(formatBytes(facts.memory)), driver for CUDA \(facts.driver)")
    }

    mutating func checkOperations() throws {
        for (element, precision, shared) in [
            (Element.float32, Precision.fp32, nil), (.bfloat16, .bf16, nil), (.bfloat16, .bf16, 48 << 10),
        ] {
            let device = try device(precision, shared)
            for op in opCases
            where op.isDefined(on: device, as: element) && (shared == nil || "\(op)".contains("attention")) {
                let start = Machine.now()
                let parity = op.parity(of: device, as: element)
                let isSame = isSmall || op.bits(on: device, as: element) == op.bits(on: device, as: element)
                let text = String(format: "%.3f of its tolerance, %.2f s", parity, Machine.now() - start)
                try expect(parity <= 1, "\(precision.rawValue): \(op): \(text)")
                if !isSame { try expect(false, "\(precision.rawValue): \(op): other bits the second time") }
                if let failure = device.failure { throw Failure(.machine, device.name, "\(op): \(failure.problem)") }
            }
        }
    }

    mutating func checkSteps() throws {
        guard !isSmall else { return }
        for model in TenSteps.all {
            for precision in [Precision.fp32, .bf16] {
                let runs = try (0..<2).map { _ in try model.run(on: device(precision), as: precision.element) }
                try expect(
                    runs[0].losses == runs[1].losses && runs[0].weights == runs[1].weights,
                    "\(model): \(precision.rawValue), the same bits twice")
                let (isClose, distance) = try model.isClose(runs[0], precision)
                try expect(isClose, "\(model): ten steps in \(precision.rawValue), losses \(distance) off")
            }
        }
    }
}

/// Every kernel for each architecture: none may keep values in memory for want of registers.
func checkKernels(_ architectures: ArraySlice<String>) throws -> Bool {
    var isSound = true
    for architecture in architectures {
        var all: [KernelReport] = []
        for file in KernelReport.files {
            for kernel in try KernelReport.compile(file, for: architecture) {
                all.append(kernel)
                guard kernel.spills > 0 else { continue }
                isSound = false
                try Console.answer("FAIL  \(architecture): \(kernel.name) spills \(kernel.spills) bytes")
            }
        }
        let most = all.max { $0.registers < $1.registers }
        try Console.answer(
            "\(architecture): \(all.count) kernels, most registers \(most?.registers ?? 0) (\(most?.name ?? "none"))")
    }
    return isSound
}

do {
    let start = Machine.now()
    if let place = CommandLine.arguments.firstIndex(of: "--kernels") {
        exit(try checkKernels(CommandLine.arguments[(place + 1)...]) ? 0 : 1)
    }
    var check = CUDACheck(CommandLine.arguments)
    try check.tellFacts()
    try check.checkOperations()
    try check.checkSteps()
    try Console.answer(String(format: "%d failed, %.0f s", check.failures.count, Machine.now() - start))
    exit(check.failures.isEmpty ? 0 : 1)
} catch {
    try? Console.answer("FAIL  \(error)")
    exit(1)
}
