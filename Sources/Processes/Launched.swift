import Foundation
import Support

/// What a launcher (mpirun, srun) says of itself in the environment.
package enum Launched {
    /// How many processes it started; nil without one.
    package static func size(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> Int? {
        let names = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] + (environment["PMIX_RANK"] == nil ? [] : ["SLURM_NTASKS"])
        return names.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first
    }

    /// The group that a launcher started, or one process alone where none did. MPI is not touched then.
    ///
    /// - Parameter patience: seconds that a rank may not answer
    /// - Throws: `Failure(.machine)` where there is no MPI, `Failure(.usage)` where it is another one than the launcher's
    package static func group(patience: Double) throws -> any ProcessGroup {
        guard let size = size(), size > 1 else { return Alone() }
        return try MPIGroup(launched: size, patience: patience)
    }
}

/// The cores that a process may use.
package struct Cores: Sendable {
    /// Bit by core, bytes.
    package let mask: [UInt8]
    package var count: Int { mask.reduce(0) { $0 + $1.nonzeroBitCount } }

    package static let maskBytes = 128

    /// Of this process, as Linux lists them: "0-3,8".
    package static var allowed: Cores {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
        var mask = [UInt8](repeating: 0, count: maskBytes)
        for part in line.split(whereSeparator: { ": \t,".contains($0) }).dropFirst() {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { continue }
            for core in first...last where core < maskBytes * 8 { mask[core / 8] |= 1 << UInt8(core % 8) }
        }
        return Cores(mask: mask)
    }

    package init(mask: [UInt8]) { self.mask = mask }

    /// Threads for one of several processes that may use these and other cores of one machine.
    ///
    /// - Parameter others: the cores of every process of this machine, this one among them
    package func threads(among others: [Cores]) -> Int {
        let sharing = others.count { other in zip(mask, other.mask).contains { $0 & $1 != 0 } }
        return max(1, count / max(1, sharing))
    }
}
