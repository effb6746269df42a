import CCUDA
import Foundation
import Support
import TensorCore

/// The kernels of this card: each file compiled by NVRTC to machine code of the card's own architecture when it is first
/// asked for, and kept in the user's cache.
final class KernelLibrary: @unchecked Sendable {
    private let architecture: String
    private let mostShared: Int32
    private let compiler: String
    private var modules: [String: ccuda_module] = [:]
    private var functions: [String: ccuda_function] = [:]

    init(_ facts: ccuda_facts) throws {
        // What only this architecture has (sm_90a) is compiled for it alone.
        architecture = "sm_\(facts.major)\(facts.minor)" + (facts.major >= 9 && facts.major < 12 ? "a" : "")
        mostShared = Int32(facts.most_shared)
        var (major, minor): (Int32, Int32) = (0, 0)
        guard ccuda_compiler_version(&major, &minor) == 0 else {
            throw Failure(.machine, "libnvrtc.so", "does not tell its version")
        }
        compiler = "\(major).\(minor)"
        guard facts.driver / 1000 >= major else {
            throw Failure(
                .machine, "libcuda.so.1",
                "is of CUDA \(facts.driver / 1000).\(facts.driver % 1000 / 10), and NVRTC of \(compiler)",
                remedy:
                    "Update the driver, or install nvidia-cuda-nvrtc-cu12 and nvidia-cublas-cu12 in place of NVRTC's")
        }
    }

    /// - Parameter file: of Sources/CUDAKernels, without its suffix
    func function(_ file: String, _ name: String) throws -> ccuda_function? {
        if let known = functions[name] { return known }
        let module = try module(file)
        var function: ccuda_function?
        let status = ccuda_find(&function, module, name, mostShared)
        guard status == 0 else {
            throw Failure(.ourFault, name, "is no kernel of \(file).cu: \(String(cString: ccuda_meaning(status)))")
        }
        functions[name] = function
        return function
    }

    private func module(_ file: String) throws -> ccuda_module? {
        if let known = modules[file] { return known }
        var module: ccuda_module?
        let path = try path(file)
        var cubin = try? Data(contentsOf: URL(fileURLWithPath: path))
        if cubin == nil {
            let compiled = try Self.compile(file, architecture)
            cubin = compiled.cubin
            // A cache that cannot be written costs the next start a few seconds.
            try? Files.makeFolder(Files.parent(of: path))
            try? AtomicFile.write(compiled.cubin, to: path)
        }
        let status = (cubin ?? Data()).withUnsafeBytes { ccuda_load(&module, $0.baseAddress) }
        guard status == 0, let module else {
            throw Failure(
                .machine, path, "the driver refuses this kernel file: \(String(cString: ccuda_meaning(status)))",
                remedy: "Remove it, or update the driver to that of NVRTC \(compiler)")
        }
        modules[file] = module
        return module
    }

    /// Where a file's machine code is kept: by all that it depends on.
    private func path(_ file: String) throws -> String {
        let all = try Self.text("kernel.h") + "\0" + Self.text(file + ".cu") + "\0\(architecture)\0\(compiler)"
        return "\(cacheFolder)/kernels/\(file)-\(SHA256.hex(all)).cubin"
    }

    private static func text(_ name: String) throws -> String {
        guard let text = ccuda_text(name) else { throw Failure(.ourFault, name, "is no kernel file") }
        return String(cString: text)
    }

    /// - Parameter architecture: sm_90a
    /// - Returns: machine code, and what the assembler said of registers and spills
    static func compile(_ file: String, _ architecture: String) throws -> (cubin: Data, log: String) {
        var (cubin, log): (UnsafeMutableRawPointer?, UnsafeMutablePointer<CChar>?)
        var size = 0
        let status = ccuda_compile(
            try text(file + ".cu"), file + ".cu", try text("kernel.h"), architecture, &cubin, &size, &log)
        defer {
            free(cubin)
            free(log)
        }
        let said = log.map { String(cString: $0) } ?? ""
        guard status == 0, let cubin else {
            throw Failure(
                .ourFault, "\(file).cu", "NVRTC compiles it not for \(architecture) (status \(status)):\n\(said)")
        }
        return (Data(bytes: cubin, count: size), said)
    }
}
