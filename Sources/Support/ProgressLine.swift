import Foundation
import Synchronization

/// Progress on standard error: one line that is rewritten on a terminal, a line every ten seconds elsewhere.
package final class ProgressLine: Sendable {
    private struct State {
        var shown = 0.0
        var lastDone = 0
    }
    private let title: String
    private let total: Int
    private let start = Machine.now()
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let state = Mutex(State())

    package init(_ title: String, total: Int) {
        self.title = title
        self.total = total
    }

    /// - Parameters:
    ///   - done: of the total
    ///   - detail: what else to say, such as the loss
    ///   - remaining: seconds; by default from the pace so far
    package func update(_ done: Int, detail: String = "", remaining: Double? = nil) {
        let now = Machine.now()
        let isDue = state.withLock { state in
            state.lastDone = done
            guard now - state.shown >= (isTerminal ? 0.2 : 10) else { return false }
            state.shown = now
            return true
        }
        guard isDue else { return }
        let left = remaining ?? (done > 0 ? (now - start) / Double(done) * Double(total - done) : .infinity)
        let share = total > 0 ? Double(done) / Double(total) : 0
        var line = "\(title) \(done)/\(total)"
        if isTerminal {
            let filled = Int(share * 24)
            line =
                "\(title) [\(String(repeating: "=", count: filled))\(String(repeating: " ", count: 24 - filled))] \(done)/\(total)"
        }
        if !detail.isEmpty { line += "  \(detail)" }
        line += "  \(formatDuration(left)) left"
        write(isTerminal ? "\r\u{1B}[K" + line : line + "\n")
    }

    /// Clears the line and says how long it took.
    package func finish() {
        let done = state.withLock { $0.lastDone }
        write(
            (isTerminal ? "\r\u{1B}[K" : "") + "\(title) \(done)/\(total) in \(formatDuration(Machine.now() - start))\n"
        )
    }

    private func write(_ text: String) {
        if !Console.isMuted.load(ordering: .relaxed) { Console.tell(text) }
    }
}
