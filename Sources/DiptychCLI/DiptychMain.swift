import ArgumentParser
import Foundation
import Support
import TensorCPU

@main
struct DiptychMain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diptych", abstract: "Pretrain and evaluate contrastive image-text models.",
        version: "0.1.0",
        subcommands: [
            TrainCommand.self, EvalCommand.self, ExpertsCommand.self, ReportCommand.self, EmbedCommand.self,
            ImportCommand.self,
            ExportCommand.self, DataCommand.self,
            ScenesCommand.self, TokenizerCommand.self, DoctorCommand.self, TokenizeCommand.self, BenchCommand.self,
        ])

    /// argument-parser's own usage errors exit with 64; ours carry their code and go to standard error.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            FileHandle.standardError.write(Data("diptych: \(failure)\n".utf8))
            Foundation.exit(failure.kind.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}

/// A command whose failures are `Failure`s.
protocol DiptychCommand: ParsableCommand {
    func execute() throws
}

extension DiptychCommand {
    func run() throws { try execute() }
}

struct MachineOptions: ParsableArguments {
    @Option(help: "Threads of the tensor kernels; results do not depend on it. Default: one per core.") var threads:
        Int?

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
    }

    func device() -> CPUDevice { CPUDevice(threads: threads) }
}
