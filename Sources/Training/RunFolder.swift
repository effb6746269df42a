import Synchronization
import Foundation
import Support

/// The folder of one run: recipe.yaml, inputs.json, program.json, metrics.jsonl, TensorBoard events, checkpoints/, model/, evals/, and
/// messages.log with what standard error could not take.
package final class RunFolder {
    package let path: String
    private let lock: Int32
    private var metrics: FileHandle
    private var metricsFile: String { path + "/metrics.jsonl" }

    /// Makes the folder, or opens it to resume; holds its lock while it lives. What killed processes left behind is removed.
    ///
    /// - Throws: `Failure(.usage)` when it exists and is not to be resumed, or another run holds it.
    package init(_ path: String, resume: Bool) throws {
        self.path = path
        // A folder without a recipe is no run yet: an earlier start failed before its first step.
        if !resume, Files.exists(path + "/recipe.yaml") {
            throw Failure(
                .usage, path, "the run folder exists", remedy: "Continue it with --resume, or choose another with --run"
            )
        }
        if resume, !Files.exists(path) { throw Failure(.inputMissing, path, "there is no run to resume") }
        let folders = [path, path + "/checkpoints", path + "/evals"]
        for folder in folders { try Files.makeFolder(folder) }
        lock = Files.withPath(path + "/lock") { Foundation.open($0, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o644) }
        guard lock >= 0 else { throw Failure.system("cannot write", path + "/lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw Failure(.usage, path, "another run is using this folder")
        }
        for folder in folders { try AtomicFile.removeLeftOvers(in: folder) }
        metrics = try Self.open(path + "/metrics.jsonl")
        let messages = path + "/messages.log"
        Console.lost.withLock { $0 = { Self.append($0, to: messages) } }
    }

    deinit {
        Console.lost.withLock { $0 = nil }
        close(lock)
    }

    private static func open(_ file: String) throws -> FileHandle {
        let descriptor = Files.withPath(file) {
            Foundation.open($0, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644)
        }
        guard descriptor >= 0 else { throw Failure.system("cannot write", file) }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// A message that standard error could not take; lost where the folder cannot take it either.
    private static func append(_ text: String, to file: String) {
        let isNew = !Files.exists(file)
        guard let handle = try? open(file) else { return }
        let head = isNew ? "standard error cannot be written; what it was meant to hold follows\n" : ""
        try? handle.write(contentsOf: Data((head + text).utf8))
    }

    /// Adds to program.json which build goes on from here.
    ///
    /// - Parameters:
    ///   - step: the last one that was made before
    ///   - ranks: processes that go on together
    func recordProgram(from step: Int, ranks: Int) throws {
        let file = path + "/program.json"
        let before = Files.exists(file) ? try JSON(file: file).array ?? [] : []
        let entry: JSON = [
            "version": .string(Version.text), "commit": .string(Version.commit), "from_step": .integer(step),
            "ranks": .integer(ranks),
        ]
        try AtomicFile.write(JSON.array(before + [entry]).text(indent: 1) + "\n", to: file)
    }

    /// Drops logged steps that a checkpoint does not know of.
    ///
    /// - Parameter state: its step's own validation is dropped, too, where it is to be made again
    /// - Returns: whether lines that the checkpoint knew of are missing
    func truncateMetrics(to state: Checkpoint) throws -> Bool {
        let lines = try Files.exists(metricsFile) ? TextLines.bytes(of: readFile(metricsFile)) : []
        let kept = lines.filter { line in
            guard let json = try? JSON(parsing: Data(line), path: metricsFile), let step = json["step"]?.integer else {
                return false
            }
            return step < state.step || (step == state.step && (state.isSettled || json["validation_loss"] == nil))
        }
        let length = kept.reduce(0) { $0 + $1.count + 1 }
        try AtomicFile.write(Data(kept.flatMap { $0 + [0x0A] }), to: metricsFile)
        metrics = try Self.open(metricsFile)
        return state.isSettled && length < state.metricsLength
    }

    func log(_ values: JSON) throws {
        do { try metrics.write(contentsOf: Data((values.text() + "\n").utf8)) } catch {
            throw Failure.writing(metricsFile, error)
        }
    }

    /// Puts the metrics on the disk.
    ///
    /// - Returns: their length in bytes
    /// - Throws: `Failure(.io)`, also when the folder was taken away under the run
    func syncMetrics() throws -> Int {
        guard fsync(metrics.fileDescriptor) == 0 else { throw Failure.system("cannot sync", metricsFile) }
        return try InputFile(metricsFile).length
    }

    /// Complete checkpoints, oldest first.
    package var checkpoints: [(step: Int, path: String)] { Self.checkpoints(in: path) }

    package static func checkpoints(in path: String) -> [(step: Int, path: String)] {
        let names = (try? Files.names(in: path + "/checkpoints")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0 else { return nil }
            return (step, "\(path)/checkpoints/\(name)")
        }.sorted { $0.0 < $1.0 }
    }

    /// Puts a damaged checkpoint aside, where nothing takes it for one.
    func setAside(_ checkpoint: String) throws {
        let target = checkpoint + ".damaged"
        try Files.remove(target)
        guard Files.rename(checkpoint, to: target) else { throw Failure.system("cannot rename", checkpoint) }
    }
}
