import ArgumentParser
import Foundation
import Processes
import Support
import Synchronization
import Training

struct LaunchCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "launch", abstract: "Start mpirun on a training run, and start it again when it dies.",
        discussion: """
            EXAMPLES
              diptych launch -n 4 -- train Recipes/flickr8k.yaml --set slices=4
              diptych launch --hosts node-a:1,node-b:1 --restarts 3 -- train Recipes/flickr8k.yaml --run runs/two
              diptych launch --hostfile hosts --restarts 3 -- train Recipes/flickr8k.yaml --run runs/two

            Ctrl-C and SIGTERM stop all processes after the step at hand, with a checkpoint, and exit with 75. A run whose
            processes died goes on from its newest checkpoint, never twice from the same one.
            """)

    @Option(name: .short, help: "Processes on this machine.") var n: Int?
    @Option(help: "Machines with their numbers of processes: node-a:1,node-b:1.") var hosts: String?
    @Option(help: "A file of machines, as mpirun reads it.") var hostfile: String?
    @Option(help: "How often a run that died is started again.") var restarts = 0
    @Option(help: "The launcher. Default: mpirun.") var mpirun = "mpirun"
    @Option(parsing: .singleValue, help: "A further argument for mpirun, such as --mpirun-argument=--display-map.")
    var mpirunArgument: [String] = []
    @Argument(parsing: .postTerminator, help: "What each process runs: train, and its arguments.") var command:
        [String] =
            []

    func validate() throws {
        guard [n.map { "\($0)" }, hosts, hostfile].compactMap({ $0 }).count == 1 else {
            throw ValidationError("One of -n, --hosts and --hostfile is needed.")
        }
        if let n, n < 1 { throw ValidationError("-n must be at least 1.") }
        if restarts < 0 { throw ValidationError("--restarts cannot be negative.") }
        guard command.first == "train" else {
            throw ValidationError("After -- comes what each process runs: train RECIPE ...")
        }
    }

    func execute() throws {
        let folder = try runFolder()
        LaunchSignals.watch()
        var (arguments, left, lastStep) = (command, restarts, -2)
        while true {
            let code = try run(arguments)
            guard ![0, 64, 65, 66, 75].contains(code) else {
                if code != 0 { throw ExitCode(code) }
                return
            }
            let step = RunFolder.checkpoints(in: folder).last?.step ?? -1
            guard !LaunchSignals.isStopping, left > 0 else { throw ExitCode(code) }
            guard step != lastStep else {
                throw Failure(
                    .machine, folder,
                    "the processes ended with \(code), twice from \(Self.place(step)): it is not started a third time")
            }
            (left, lastStep) = (left - 1, step)
            say("launch: the processes ended with \(code); going on from \(Self.place(step)), \(left) restarts left")
            if Files.exists(folder + "/recipe.yaml"), !arguments.contains("--resume") { arguments.append("--resume") }
        }
    }

    private static func place(_ step: Int) -> String { step < 0 ? "the beginning" : "the checkpoint of step \(step)" }

    /// Where `train` keeps its run.
    private func runFolder() throws -> String {
        do {
            let train = try TrainCommand.parse(Array(command.dropFirst()))
            guard let recipe = train.recipe else { throw ValidationError("train needs a recipe.") }
            return train.run ?? TrainCommand.defaultRun(recipe)
        } catch let failure as ValidationError { throw failure } catch {
            throw ValidationError(TrainCommand.message(for: error))
        }
    }

    private func run(_ arguments: [String]) throws -> Int32 {
        var words = [mpirun, "--bind-to", "none"]
        if let n { words += ["-n", "\(n)", "--oversubscribe"] }
        if let hosts { words += ["--host", hosts] }
        if let hostfile { words += ["--hostfile", hostfile] }
        words += mpirunArgument + [Self.program] + arguments
        var environment = ["DIPTYCH_LAUNCHER": "\(getpid())"]
        if getuid() == 0 {
            environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
            environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
        }
        let child = try ChildProcess(words, environment: environment)
        var (told, since) = (0, 0.0)
        while true {
            if let code = child.poll() {
                // A launcher that we killed has not told what its processes gave up with.
                return since > 0 && code == 128 + SIGKILL ? Failure.Kind.ourFault.rawValue : code
            }
            let asked = LaunchSignals.count
            if asked > told {
                told = asked
                // Twice asked, they end at once.
                if told == 1 { child.send(SIGUSR1) } else { child.sendToAll(SIGKILL) }
            }
            if LaunchSignals.hasGivenUp, since == 0 { since = Machine.now() }
            if since > 0, Machine.now() - since > Self.grace { child.sendToAll(SIGKILL) }
            usleep(20_000)
        }
    }

    /// Seconds from a process's giving up to the end of a launcher that does not notice.
    private static let grace = 30.0

    private static var program: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }
}

/// What the launching process was asked, and told by its processes.
private enum LaunchSignals {
    private static let asked = Atomic<Int>(0)
    private static let givenUp = Atomic<Bool>(false)

    static var count: Int { asked.load(ordering: .relaxed) }
    static var isStopping: Bool { count > 0 }
    static var hasGivenUp: Bool { givenUp.load(ordering: .relaxed) }

    static func watch() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { _ in LaunchSignals.asked.wrappingAdd(1, ordering: .relaxed) }
        }
        signal(SIGUSR2) { _ in LaunchSignals.givenUp.store(true, ordering: .relaxed) }
    }
}
