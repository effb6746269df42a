import CCUDA
import Foundation
import Support

/// A kernel as NVRTC compiled it for one architecture.
package struct KernelReport: Sendable {
    package let name: String
    /// Of a thread.
    package let registers: Int
    /// Bytes that a thread keeps in memory for want of registers.
    package let spills: Int

    /// In Sources/CUDAKernels, without their suffix.
    package static let files = [
        "attention", "contrastive", "gather", "images", "layernorm", "normalize", "optimise", "pointwise", "reduce",
    ]

    /// All kernels of a file; needs NVRTC, and no card.
    ///
    /// - Parameter architecture: sm_80
    /// - Throws: `Failure(.machine)` without NVRTC, `Failure(.ourFault)` with its message where it does not compile
    package static func compile(_ file: String, for architecture: String) throws -> [KernelReport] {
        try CUDALibraries.openCompiler()
        var (found, name, spills): ([KernelReport], String, Int) = ([], "", 0)
        for line in try KernelLibrary.compile(file, architecture).log.split(separator: "\n") {
            if let match = line.firstMatch(of: /Compiling entry function '(\w+)'/) { name = String(match.1) }
            if let match = line.firstMatch(of: /(\d+) bytes spill stores, (\d+) bytes spill loads/) {
                spills = (Int(match.1) ?? 0) + (Int(match.2) ?? 0)
            }
            if let match = line.firstMatch(of: /Used (\d+) registers/) {
                found.append(KernelReport(name: name, registers: Int(match.1) ?? 0, spills: spills))
                spills = 0
            }
        }
        return found
    }
}
