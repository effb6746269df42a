import Foundation
import Support

/// The folder of one run: recipe.yaml, metrics.jsonl, TensorBoard events, checkpoints/, model/, evals/.
public final class RunFolder {
    public let path: String
    private let lock: Int32
    private var metrics: FileHandle

    /// Makes the folder, or opens it to resume; holds its lock while it lives.
    ///
    /// - Throws: `Failure(.usage)` when it exists and is not to be resumed, or another run holds it.
    public init(_ path: String, resume: Bool) throws {
        self.path = path
        let exists = Files.exists(path)
        // A folder without a recipe is no run yet: an earlier start failed before its first step.
        if !resume, Files.exists(path + "/recipe.yaml") {
            throw Failure(
                .usage, path, "the run folder exists", remedy: "Continue it with --resume, or choose another with --run"
            )
        }
        if resume, !exists { throw Failure(.inputMissing, path, "there is no run to resume") }
        for folder in ["", "/checkpoints", "/evals"] { try Files.makeFolder(path + folder) }
        lock = open(path + "/lock", O_CREAT | O_RDWR, 0o644)
        guard lock >= 0 else { throw Failure.system("cannot write", path + "/lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw Failure(.usage, path, "another run is using this folder")
        }
        let file = path + "/metrics.jsonl"
        if !Files.exists(file) { try AtomicFile.write("", to: file) }
        guard let handle = FileHandle(forUpdatingAtPath: file) else { throw Failure.system("cannot write", file) }
        metrics = handle
        _ = try? metrics.seekToEnd()
    }

    deinit { close(lock) }

    /// Drops logged steps that a checkpoint does not know of.
    func truncateMetrics(after step: Int) throws {
        let file = path + "/metrics.jsonl"
        let kept = String(decoding: try readFile(file), as: UTF8.self).split(separator: "\n").filter { line in
            (try? JSON(parsing: Data(line.utf8), path: file)["step"]?.integer).map { $0 <= step } ?? false
        }
        try AtomicFile.write(kept.map { $0 + "\n" }.joined(), to: file)
        guard let handle = FileHandle(forUpdatingAtPath: file) else { throw Failure.system("cannot write", file) }
        metrics = handle
        _ = try? metrics.seekToEnd()
    }

    func log(_ values: JSON) throws {
        do { try metrics.write(contentsOf: Data((values.text() + "\n").utf8)) } catch {
            throw Failure(.io, path + "/metrics.jsonl", "cannot write: \(error.localizedDescription)")
        }
    }

    /// Complete checkpoints, oldest first.
    public var checkpoints: [(step: Int, path: String)] { Self.checkpoints(in: path) }

    public static func checkpoints(in path: String) -> [(step: Int, path: String)] {
        let names = (try? Files.names(in: path + "/checkpoints")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)) else { return nil }
            return (step, "\(path)/checkpoints/\(name)")
        }.sorted { $0.0 < $1.0 }
    }
}
