import Foundation
import Synchronization

/// Monotonic time and the process's memory, as the kernel counts it.
package enum Machine {
    /// Seconds since an arbitrary start; never goes back.
    package static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Bytes that the system would not give; 0 when it gave all. Read where the process ends, to say why.
    package static var refusedMemory: Int { refused.load(ordering: .relaxed) }
    private static let refused = Atomic<Int>(0)

    /// Ends the process because memory was refused in a place that cannot throw.
    package static func refuse(memory bytes: Int) -> Never {
        refused.store(bytes, ordering: .relaxed)
        preconditionFailure("out of memory: \(bytes) bytes")
    }

    package static var coreCount: Int { ProcessInfo.processInfo.activeProcessorCount }

    /// Of the whole machine, whether this process may use them or not.
    package static var onlineCores: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Largest resident set so far, bytes (VmHWM).
    package static var peakMemory: Int { statusField("VmHWM:") }

    /// Resident set now, bytes (VmRSS).
    package static var memory: Int { statusField("VmRSS:") }

    /// Lets `peakMemory` begin again at what is resident now.
    package static func restartPeakMemory() {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    private static func statusField(_ name: String) -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0)
                * 1024
        }
        return 0
    }
}

/// 95 -> "1m 35s".
package func formatDuration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return "?" }
    let total = Int(seconds.rounded())
    if total < 60 { return "\(total)s" }
    if total < 3600 { return "\(total / 60)m \(total % 60)s" }
    return "\(total / 3600)h \(total % 3600 / 60)m"
}

/// 1234567 -> "1.23 MB" (powers of ten).
package func formatBytes(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000 { return unit == "B" ? "\(count) B" : String(format: "%.3g \(unit)", value) }
        value /= 1000
    }
    return String(format: "%.3g TB", value)
}
