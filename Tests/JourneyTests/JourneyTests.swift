import Foundation
import Support
import TestKit
import Testing

/// The program as a user runs it.
@Suite struct JourneyTests {
    private func diptych(_ arguments: String..., input: String? = nil, in folder: String = Places.project) throws -> (
        code: Int32, out: String, error: String
    ) { try Program.run(arguments, input: input, in: folder) }

    @Test("From scenes to a report: every command of the README works on its own files")
    func journey() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(
                in: folder,
                extra:
                    "evaluations: [{task: \(Places.project)/Evals/tasks/scenes-retrieval.yaml, data: \(folder)/validation}]"
            )
            let dry = try diptych("train", tiny.recipe, "--run", folder + "/run", "--dry-run")
            #expect(dry.code == 0, "\(dry.error)")
            #expect(dry.out.contains("12 steps of 16"))
            #expect(Files.exists(folder + "/run.first-batch.html"))
            let train = try diptych("train", tiny.recipe, "--run", folder + "/run")
            #expect(train.code == 0, "\(train.error)")
            for name in [
                "recipe.yaml", "metrics.jsonl", "model/open_clip_config.json", "model/tokenizer/card.yaml",
                "evals/scenes-retrieval.json",
            ] {
                #expect(Files.exists("\(folder)/run/\(name)"), "\(name)")
            }
            let report = try diptych("report", folder + "/run")
            #expect(report.out == folder + "/run/report.html\n")
            #expect(
                try String(decoding: readFile(folder + "/run/report.html"), as: UTF8.self).contains("text to image R@1")
            )
            try AtomicFile.write("a red circle\n\na blue square\n", to: folder + "/queries.txt")
            let embed = try diptych(
                "embed", "--model", folder + "/run/model", "--images", folder + "/validation", "--texts",
                folder + "/queries.txt", "--out", folder + "/f.safetensors")
            #expect(embed.code == 0, "\(embed.error)")
            #expect(
                try String(decoding: readFile(folder + "/f.keys.txt"), as: UTF8.self).split(separator: "\n").count == 32
            )
            let evaluation = try diptych(
                "eval", "retrieval", "--model", folder + "/run/model", "--task", "Evals/tasks/scenes-retrieval.yaml",
                "--data", folder + "/validation", "--json")
            let (again, first) = (
                try JSON(parsing: Data(evaluation.out.utf8), path: "out"),
                try JSON(file: folder + "/run/evals/scenes-retrieval.json")
            )
            #expect(again["metrics"] == first["metrics"])
            #expect(again["protocol"] == first["protocol"])
            let check = try diptych("data", "check", folder + "/train", "--json")
            #expect(try JSON(parsing: Data(check.out.utf8), path: "out")["samples"]?.integer == 96)
        }
    }

    @Test("Failures end with their exit code and one sentence")
    func failures() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            func expect(_ code: Int32, _ sentence: String, _ result: (code: Int32, out: String, error: String)) {
                #expect(result.code == code)
                #expect(result.error.contains(sentence), "\(result.error)")
            }
            expect(66, "no such recipe", try diptych("train", folder + "/none.yaml"))
            expect(
                66, "no such shard",
                try diptych("train", tiny.recipe, "--run", folder + "/a", "--set", "data.train=\(folder)/none.tar"))
            expect(
                65, "unknown key optimizer.weight_decy. Did you mean weight_decay?",
                try diptych("train", tiny.recipe, "--run", folder + "/a", "--set", "optimizer.weight_decy=1"))
            expect(74, "cannot make the folder", try diptych("train", tiny.recipe, "--run", "/proc/none/run"))
            expect(
                66, "no such model folder",
                try diptych(
                    "embed", "--model", folder + "/none", "--texts", tiny.recipe, "--out", folder + "/x.safetensors"))
            expect(64, "Error", try diptych("embed", "--nonsense"))
            expect(64, "Error", try diptych("train", tiny.recipe, "--device", "gpu"))
            expect(71, "cud", try diptych("train", tiny.recipe, "--run", folder + "/a", "--device", "cuda:1023"))
            expect(
                64, "the CPU computes in fp32 alone",
                try diptych("train", tiny.recipe, "--run", folder + "/a", "--set", "precision=bf16"))
            try AtomicFile.write(try readFile(folder + "/train/scenes-0000.tar").prefix(5000), to: folder + "/cut.tar")
            expect(65, "the tar ends early", try diptych("data", "check", folder + "/cut.tar"))
        }
    }

    @Test("A model folder whose weights have another shape is refused by name")
    func wrongShape() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            #expect(try diptych("train", tiny.recipe, "--run", folder + "/run", "--set", "steps=4").code == 0)
            let config = folder + "/run/model/open_clip_config.json"
            let text = String(decoding: try readFile(config), as: UTF8.self).replacingOccurrences(
                of: "\"embed_dim\": 16", with: "\"embed_dim\": 24")
            try AtomicFile.write(text, to: config)
            let result = try diptych(
                "embed", "--model", folder + "/run/model", "--texts", tiny.recipe, "--out", folder + "/x.safetensors")
            #expect(result.code == 65)
            #expect(result.error.contains("has shape [16, 16], the configuration needs [16, 24]"), "\(result.error)")
            #expect(!Files.exists(folder + "/x.safetensors"))
        }
    }

    @Test("Ctrl-C writes a checkpoint and exits with 75; --resume ends as if it had never stopped")
    func interruption() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let set = ["--set", "steps=400", "--set", "checkpoints.every=1000"]
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Places.program)
            process.arguments = ["train", tiny.recipe, "--run", folder + "/cut"] + set
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            let metrics = folder + "/cut/metrics.jsonl"
            for _ in 0..<2000 where (try? readFile(metrics).isEmpty) ?? true { usleep(5000) }
            process.interrupt()
            process.waitUntilExit()
            #expect(process.terminationStatus == 75)
            #expect(
                try diptych(
                    "train", tiny.recipe, "--run", folder + "/cut", "--resume", "--set", "steps=400", "--set",
                    "checkpoints.every=1000"
                ).code == 0)
            #expect(
                try diptych(
                    "train", tiny.recipe, "--run", folder + "/whole", "--set", "steps=400", "--set",
                    "checkpoints.every=1000"
                ).code == 0)
            let name = "/model/open_clip_model.safetensors"
            #expect(try readFile(folder + "/cut" + name) == readFile(folder + "/whole" + name))
        }
    }

    @Test("Tokens of standard input, one JSON array a line")
    func tokenize() throws {
        let result = try diptych(
            "tokenize", "--tokenizer", "Tokenizers/clip-bpe", "--context", "8", input: "a photo of a cat\n\n")
        #expect(result.out == "[49406, 320, 1125, 539, 320, 2368, 49407, 0]\n[49406, 49407, 0, 0, 0, 0, 0, 0]\n")
    }

    @Test("The doctor passes on the committed goldens")
    func doctor() throws {
        #expect(try diptych("doctor", "Tests/Goldens").code == 0)
    }
}
