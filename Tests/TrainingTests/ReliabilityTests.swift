import Foundation
import Shards
import Support
import TensorCPU
import TestKit
import Testing
import Training

/// A run goes on only from what is proved to be its own.
@Suite("Reliability", .serialized)
struct ReliabilityTests {
    private func train(_ tiny: TinyRun, _ run: String, resume: Bool, allow: [String] = []) throws {
        let trainer = try Trainer(
            Recipe(tiny.recipe), run: RunPlace(run, resume: resume, allowChanged: allow), on: CPUDevice(threads: 2),
            observer: Watcher())
        try trainer.train()
    }

    private func weights(_ run: String) throws -> String {
        SHA256.hex(try readFile(run + "/model/open_clip_model.safetensors"))
    }

    /// Takes a finished run back to its checkpoints.
    private func reopen(_ run: String) throws { try Files.remove(run + "/model") }

    private func change(_ file: String, _ body: (inout Data) -> Void) throws {
        var data = try readFile(file)
        body(&data)
        try AtomicFile.write(data, to: file)
    }

    @Test("A damaged checkpoint is named and put aside, and the run ends with the same bits from the one before")
    func damage() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let run = folder + "/run"
            try train(tiny, run, resume: false)
            let expected = try weights(run)
            let newest = run + "/checkpoints/step-12"
            let damages: [(String, (inout Data) -> Void)] = [
                ("open_clip_model.safetensors", { $0[$0.count / 2] ^= 1 }),
                ("optimizer.safetensors", { $0.replaceSubrange($0.count - 512..<$0.count, with: Data(count: 512)) }),
                (
                    "state.json",
                    {
                        $0 = Data(
                            String(decoding: $0, as: UTF8.self).replacing("\"epoch\": ", with: "\"epoch\": 1").utf8)
                    }
                ),
                ("open_clip_config.json", { $0 = $0.prefix(20) }),
            ]
            for (file, damage) in damages {
                try change(newest + "/" + file, damage)
                try reopen(run)
                try train(tiny, run, resume: true)
                #expect(try weights(run) == expected, "\(file)")
                #expect(Files.exists(newest + ".damaged"), "\(file)")
            }
            try Files.remove(newest + "/optimizer.safetensors")
            try reopen(run)
            try train(tiny, run, resume: true)
            #expect(try weights(run) == expected)
        }
    }

    @Test("A checkpoint alone and damaged is an error, and stays where it is")
    func onlyOne() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let run = folder + "/run"
            try train(tiny, run, resume: false)
            for step in [4, 8] { try Files.remove(run + "/checkpoints/step-\(step)") }
            try change(run + "/checkpoints/step-12/state.json") { $0 = $0.prefix($0.count / 2) }
            let failure = #expect(throws: Failure.self) { try train(tiny, run, resume: true) }
            #expect(failure?.kind == .badData)
            #expect(Files.exists(run + "/checkpoints/step-12"))
        }
    }

    @Test("A resume with other data, another tokenizer or another model is refused by name, or allowed on purpose")
    func inputs() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let run = folder + "/run"
            try train(tiny, run, resume: false)
            let shard = try expandShards(folder + "/train")[0]
            let kept = try readFile(shard)
            try Files.remove(shard)
            let gone = #expect(throws: Failure.self) { try train(tiny, run, resume: true) }
            #expect(gone?.kind == .usage && gone?.problem.contains("is gone") == true)
            try AtomicFile.write(readFile(expandShards(folder + "/train")[0]), to: shard)
            let other = #expect(throws: Failure.self) { try train(tiny, run, resume: true) }
            #expect(other?.problem.contains("\(shard) has changed") == true)
            try train(tiny, run, resume: true, allow: ["data"])
            try AtomicFile.write(kept, to: shard)
            #expect(throws: Failure.self) { try train(tiny, run, resume: true) }
            try train(tiny, run, resume: true, allow: ["data"])
            try change(folder + "/model.json") {
                $0 = Data(String(decoding: $0, as: UTF8.self).replacing("\"heads\": 2", with: "\"heads\": 1").utf8)
            }
            let model = #expect(throws: Failure.self) { try train(tiny, run, resume: true) }
            #expect(model?.problem.contains("model.json has changed") == true)
            #expect(throws: Failure.self) { try train(tiny, run, resume: true, allow: ["dta"]) }
        }
    }

    @Test("Weights that are not finite are never written over a checkpoint that is")
    func notFinite() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let text = String(decoding: try readFile(tiny.recipe), as: UTF8.self)
            try AtomicFile.write(
                text.replacing("rate: 0.001, clip: 1.0", with: "rate: 1.0e+38").replacing("keep: 5", with: "keep: 1")
                    .replacing("every: 4, keep", with: "every: 1, keep").replacing("warmup: 2", with: "warmup: 0"),
                to: tiny.recipe)
            let run = folder + "/run"
            let failure = #expect(throws: Failure.self) { try train(tiny, run, resume: false) }
            #expect(failure?.kind == .badData)
            for (_, path) in RunFolder.checkpoints(in: run) {
                #expect(try readFile(path + "/open_clip_model.safetensors").count > 0)
                #expect(throws: Never.self) { try FiniteCheck.weights(path + "/open_clip_model.safetensors") }
            }
        }
    }

    @Test("A validation set smaller than a batch is one batch, and one pair is refused")
    func smallValidation() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let text = String(decoding: try readFile(tiny.recipe), as: UTF8.self)
            try AtomicFile.write(text.replacing("batch: 16", with: "batch: 40"), to: tiny.recipe)
            let run = folder + "/run"
            try train(tiny, run, resume: false)
            let lines = try TextLines.read(run + "/metrics.jsonl").filter { $0.contains("validation_loss") }
            #expect(lines.count == 3)
            #expect(
                lines.allSatisfy {
                    $0.contains("\"validation_batch\": 32, ") && $0.contains("\"validation_pairs\": 32")
                })
        }
    }
}
