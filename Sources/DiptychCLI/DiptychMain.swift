import ArgumentParser
import Foundation
import Processes
import Support
import TensorCPU
import TensorCUDA
import TensorCore

@main
struct DiptychMain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diptych", abstract: "Pretrain and evaluate contrastive image-text models.",
        version: Version.text,
        subcommands: [
            TrainCommand.self, LaunchCommand.self, EvalCommand.self, ExpertsCommand.self, ReportCommand.self,
            EmbedCommand.self,
            ImportCommand.self,
            ExportCommand.self, DataCommand.self,
            ScenesCommand.self, TokenizerCommand.self, DoctorCommand.self, TokenizeCommand.self, BenchCommand.self,
        ])

    /// argument-parser's own usage errors exit with 64; ours carry their code and go to standard error.
    static func main() {
        ProcessSetup.begin()
        let arguments = ProcessSetup.arguments
        var command: any ParsableCommand
        do {
            try Subcommands.check(arguments)
            command = try parseAsRoot(arguments)
        } catch { end(error) }
        do {
            try onOwnStack { try command.run() }
            try Ranks.leave()
        } catch {
            Ranks.end(error)
            end(error)
        }
    }

    /// Runs on a stack that no limit of the caller's makes too small.
    private static func onOwnStack(_ body: () throws -> Void) throws {
        var result: Result<Void, any Error>?
        try withoutActuallyEscaping(body) { body in
            nonisolated(unsafe) let work = { result = Result { try body() } }
            try WorkerThread(stack: 8 << 20) { work() }.join()
        }
        try result?.get()
    }

    /// Says what went wrong, and with which code.
    private static func end(_ error: any Error) -> Never {
        switch error {
        case let failure as Failure:
            Console.tell("diptych: \(failure)\n")
            Foundation.exit(failure.kind.rawValue)
        case is Console.ClosedPipe: Foundation.exit(128 + SIGPIPE)  // as any program whose reader is gone
        case is ExitCode, is ValidationError, is CleanExit: break
        default:
            // argument-parser's own errors are of no public type; it knows their code, and gives 1 for any other.
            guard exitCode(for: error) == .failure else { break }
            Console.tell("diptych: \(error.localizedDescription)\n")
            Foundation.exit(Failure.Kind.io.rawValue)
        }
        guard exitCode(for: error) == .success else { exit(withError: error) }
        do { try Console.answer(HelpText.withWholeExamples(error, of: self)) } catch { end(error) }
        Foundation.exit(0)
    }
}

/// A command whose failures are `Failure`s.
protocol DiptychCommand: ParsableCommand {
    func execute() throws
}

extension DiptychCommand {
    func run() throws {
        if let size = Launched.size(), size > 1, !(self is any SharedCommand) {
            throw Failure(
                .usage, Self._commandName, "runs in one process, and a launcher started \(size)",
                remedy: "Start it without mpirun or srun")
        }
        try execute()
    }
}

/// A line of the answer, on standard output.
func answer(_ line: String) throws { try Console.answer(line) }

/// What computes.
enum DeviceName: ExpressibleByArgument, Equatable {
    case cpu
    /// As the driver counts the cards.
    case cuda(Int)

    init?(argument: String) {
        switch argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init) {
        case ["cpu"]: self = .cpu
        case ["cuda"]: self = .cuda(0)
        case let parts where parts.count == 2 && parts[0] == "cuda":
            guard let index = Int(parts[1]), (0..<1024).contains(index) else { return nil }
            self = .cuda(index)
        default: return nil
        }
    }

    var defaultValueDescription: String { "cpu" }
}

extension Precision: ExpressibleByArgument {}

/// Of commands that no recipe tells it.
struct PrecisionOptions: ParsableArguments {
    @Option(help: "With --device cuda: fp32, tf32 or bf16.") var precision = Precision.fp32
}

struct MachineOptions: ParsableArguments {
    @Option(name: .customLong("device"), help: "cpu, or cuda or cuda:N, an NVIDIA GPU (docs/cuda.md).") var place =
        DeviceName.cpu
    @Option(help: "Threads of the tensor kernels; results do not depend on it. Default: one per core.") var threads:
        Int?

    private static let most = 1024

    func validate() throws {
        if let threads, !(1...Self.most).contains(threads) {
            throw ValidationError("--threads must be in 1...\(Self.most).")
        }
    }

    /// Says when the system gave fewer threads than there should be.
    ///
    /// - Parameters:
    ///   - precision: what it computes with
    ///   - group: processes that share the machine
    /// - Throws: `Failure(.machine)` without OpenBLAS; for a GPU, without what it needs
    func device(_ precision: Precision = .fp32, group: any ProcessGroup = Alone()) throws -> any Device {
        switch place {
        case .cpu:
            guard precision == .fp32 else {
                throw Failure(
                    .usage, "precision \(precision.rawValue)", "the CPU computes in fp32 alone",
                    remedy: "Set precision to fp32, or --device cuda")
            }
            return try cpu(group)
        case .cuda(let index):
            guard group.size == 1 else {
                throw Failure(
                    .usage, "--device cuda", "one process works on a GPU, and a launcher started \(group.size)",
                    remedy: "Start it without mpirun")
            }
            return CUDADevice(try CUDADriver(index: index), precision: precision)
        }
    }

    /// For what computes nothing.
    func host() throws -> any Device { try cpu(Alone()) }

    private func cpu(_ group: any ProcessGroup) throws -> CPUDevice {
        guard CPUDevice.isUsable else {
            throw Failure(.machine, "libopenblas.so.0", "cannot be opened", remedy: "Run scripts/setup")
        }
        let wanted = threads ?? (group as? MPIGroup)?.threads.count ?? Machine.coreCount
        let device = CPUDevice(threads: wanted)
        if device.threadCount < wanted {
            Console.tell(
                "threads: the system gave \(device.threadCount) of \(wanted); results are the same, but later\n")
        }
        return device
    }
}
