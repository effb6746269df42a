import Foundation
import Support

/// A program in a process group of its own, so that a Ctrl-C at the terminal does not reach it unasked.
struct ChildProcess {
    let id: pid_t

    /// - Parameter environment: added to ours
    /// - Throws: `Failure(.machine)` when it cannot be started
    init(_ arguments: [String], environment added: [String: String]) throws {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        let environment = ProcessInfo.processInfo.environment.merging(added) { $1 }
        var words = arguments.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + variables { free(word) } }
        var id = pid_t()
        let code = posix_spawnp(&id, arguments[0], nil, &attributes, &words, &variables)
        guard code == 0 else {
            throw Failure(
                .machine, arguments[0], "cannot be started: \(String(cString: strerror(code)))",
                remedy: arguments[0].hasSuffix("mpirun") ? "apt-get install openmpi-bin" : "")
        }
        self.id = id
    }

    /// Its exit code, 128 and the signal's number for one that a signal ended; nil while it runs.
    func poll() -> Int32? {
        var status: Int32 = 0
        guard waitpid(id, &status, WNOHANG) == id else { return nil }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    func send(_ signal: Int32) { kill(id, signal) }

    /// To the program and all that it started on this machine.
    func sendToAll(_ signal: Int32) { killpg(id, signal) }
}
