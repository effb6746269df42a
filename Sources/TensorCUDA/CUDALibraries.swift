import CCUDA
import Foundation
import Support

/// What of CUDA is opened at first use, and where it is looked for.
enum CUDALibraries {
    /// Folders besides the system's own: DIPTYCH_CUDA_LIBRARIES, the toolkit's, and those of NVIDIA's Python packages.
    private static var folders: [String] {
        let environment = ProcessInfo.processInfo.environment
        let said = environment["DIPTYCH_CUDA_LIBRARIES"].map { $0.split(separator: ":").map(String.init) } ?? []
        let prefixes = [environment["VIRTUAL_ENV"], environment["CONDA_PREFIX"]].compactMap { $0 }
        let packages = prefixes.flatMap { prefix in
            let library = prefix + "/lib"
            return ((try? FileManager.default.contentsOfDirectory(atPath: library)) ?? [])
                .filter { $0.hasPrefix("python3") }
                .flatMap { python in
                    ["cu13/lib", "cublas/lib", "cuda_nvrtc/lib"].map {
                        "\(library)/\(python)/site-packages/nvidia/\($0)"
                    }
                }
        }
        return said + ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"] + packages
    }

    /// - Throws: `Failure(.machine)` naming what is missing and how to get it
    static func open() throws {
        try open(
            driver, ["libcuda.so.1"], "NVIDIA's driver",
            remedy:
                "It comes with the driver of the card (580 or later for CUDA 13); without a card train with --device cpu"
        )
        try open(
            blas, ["libcublasLt.so.13", "libcublasLt.so.12"], "cuBLASLt",
            remedy:
                "Install CUDA's libcublas, or pip install nvidia-cublas, and name its folder in DIPTYCH_CUDA_LIBRARIES")
        try openCompiler()
    }

    /// NVRTC alone, which needs no card.
    static func openCompiler() throws {
        try open(
            compiler, ["libnvrtc.so.13", "libnvrtc.so.12"], "NVRTC",
            remedy:
                "Install CUDA's nvrtc, or pip install nvidia-cuda-nvrtc, and name its folder in DIPTYCH_CUDA_LIBRARIES")
    }

    /// As ccuda_open counts them.
    private static let (driver, blas, compiler, builtins): (Int32, Int32, Int32, Int32) = (0, 1, 2, 3)

    private static func open(_ library: Int32, _ names: [String], _ what: String, remedy: String) throws {
        var reasons: [String] = []
        var why = [CChar](repeating: 0, count: 512)
        for folder in [nil] + folders.map(Optional.some) {
            for name in names {
                let path = folder.map { "\($0)/\(name)" } ?? name
                if library == compiler { openBuiltins(beside: folder) }
                let status = ccuda_open(library, path, &why, Int32(why.count))
                if status == 0 { return }
                let reason = String(decoding: why.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                // Of a file that is there the reason matters; of the others that they are not.
                if status == 2 || folder.map({ Files.exists("\($0)/\(name)") }) ?? false { reasons.append(reason) }
            }
        }
        throw Failure(
            .machine, names[0], "\(what) cannot be opened" + (reasons.first.map { ": \($0)" } ?? ""), remedy: remedy)
    }

    /// NVRTC opens its builtins by their name alone, which finds them only where they are open already.
    private static func openBuiltins(beside folder: String?) {
        guard let folder, let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return }
        var why = [CChar](repeating: 0, count: 512)
        for name in names.sorted() where name.hasPrefix("libnvrtc-builtins.so.") {
            _ = ccuda_open(builtins, "\(folder)/\(name)", &why, Int32(why.count))
        }
    }
}
