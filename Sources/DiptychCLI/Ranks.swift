import ArgumentParser
import Foundation
import Processes
import Support
import Synchronization

/// The processes that a launcher started this one with.
enum Ranks {
    private static let current = Mutex<(any ProcessGroup)?>(nil)

    /// - Throws: `Failure` where there is no MPI, or another one than the launcher's
    static func join(patience: Double) throws -> any ProcessGroup {
        let group = try Launched.group(patience: patience)
        current.withLock { $0 = group }
        if let mpi = group as? MPIGroup, mpi.threads.isBound {
            say(
                "\(group.name(of: group.rank)): the launcher bound it to \(mpi.threads.count) cores, less than its share of the machine; mpirun --bind-to none gives it that"
            )
        }
        Console.isMuted.store(!group.isRoot, ordering: .relaxed)
        return group
    }

    /// After a command that ended well.
    static func leave() throws { try current.withLock { $0 }?.finish() }

    /// A failure at one rank ends all of them with its code; one that all came to is said once.
    static func end(_ error: any Error) {
        guard let group = current.withLock({ $0 }), group.size > 1 else { return }
        switch error {
        case let agreed as AgreedFailure:
            if group.isRoot { Console.tell("diptych: \(agreed)\n") }
            try? group.finish()
            Foundation.exit(agreed.failure.kind.rawValue)
        case let failure as Failure:
            Console.tell("diptych: \(group.name(of: group.rank)): \(failure)\n")
            group.abort(failure.kind.rawValue)
        default:
            Console.tell("diptych: \(group.name(of: group.rank)): \(error.localizedDescription)\n")
            group.abort(Failure.Kind.io.rawValue)
        }
    }
}

struct RankOptions: ParsableArguments {
    @Option(help: "Under mpirun: seconds that another process may not answer before all end.") var patience = 600.0

    func validate() throws {
        if !(patience >= 1 && patience <= 1e6) { throw ValidationError("--patience must be in 1...1000000 seconds.") }
    }
}

/// A command that several processes share out among them.
protocol SharedCommand: DiptychCommand {}
