import Foundation
import Support
import TestKit
import Testing

/// Experts as a user makes them.
@Suite struct ExpertsJourney {
    private func weights(_ folder: String) throws -> Data {
        try readFile(folder + "/model/open_clip_model.safetensors")
    }

    private func recipe(_ folder: String, experts: Int, extra: String = "") throws -> String {
        let path = folder + "/experts.yaml"
        try AtomicFile.write(
            """
            seed_run: \(folder)/seed
            seed_step: 4
            experts: \(experts)
            clusters: {embedder: {kind: tfidf, width: 8}, fine: 8, balance: auction}
            evaluations: [{task: \(Places.project)/Evals/tasks/scenes-retrieval.yaml, data: \(folder)/validation}]
            \(extra)
            """, to: path)
        return path
    }

    /// A seed stopped at step 4 of 12.
    private func seed(_ folder: String) throws {
        let tiny = try TinyRun(in: folder)
        let train = try Program.run("train", tiny.recipe, "--run", folder + "/seed", "--until", "4")
        #expect(train.code == 0, "\(train.error)")
        #expect(!Files.exists(folder + "/seed/model"))
    }

    @Test("One expert is plain continued training, bit for bit")
    func oneExpert() throws {
        try Places.withFolder { folder in
            try seed(folder)
            let experts = try Program.run("experts", "train", recipe(folder, experts: 1), "--run", folder + "/x")
            #expect(experts.code == 0, "\(experts.error)")
            let rest = try Program.run("train", folder + "/tiny.yaml", "--run", folder + "/seed", "--resume")
            #expect(rest.code == 0, "\(rest.error)")
            #expect(try weights(folder + "/x/expert-0") == weights(folder + "/seed"))
        }
    }

    @Test(
        "Two experts are trained, evaluated, embedded, merged and repacked; one cut short goes on to the same weights")
    func twoExperts() throws {
        try Places.withFolder { folder in
            try seed(folder)
            let file = try recipe(folder, experts: 2)
            for run in ["whole", "cut"] {
                let train = try Program.run("experts", "train", file, "--run", "\(folder)/\(run)")
                #expect(train.code == 0, "\(train.error)")
            }
            // As if expert 1 had died after its checkpoint of step 4.
            let steps = try FileManager.default.contentsOfDirectory(atPath: folder + "/cut/expert-1/checkpoints")
            for name in steps where name != "step-4" {
                try FileManager.default.removeItem(atPath: "\(folder)/cut/expert-1/checkpoints/\(name)")
            }
            try FileManager.default.removeItem(atPath: folder + "/cut/expert-1/model")
            let missing = try Program.run("experts", "eval", folder + "/cut")
            #expect(missing.code == 66 && missing.error.contains("expert 1 is not trained"), "\(missing.error)")
            #expect(try Program.run("experts", "train", file, "--run", folder + "/cut").code == 0)
            for expert in ["/expert-0", "/expert-1"] {
                #expect(try weights(folder + "/cut" + expert) == weights(folder + "/whole" + expert))
            }

            let eval = try Program.run("experts", "eval", folder + "/whole")
            #expect(eval.code == 0 && eval.out.contains("regret"), "\(eval.error)")
            let result = try JSON(file: folder + "/whole/evals/scenes-retrieval.json")
            #expect(result["experts"]?["alone"]?.array?.count == 2)
            #expect(Files.exists(folder + "/whole/report.html"))
            try AtomicFile.write("a red circle\n", to: folder + "/q.txt")
            let embed = try Program.run(
                "embed", "--model", folder + "/whole", "--texts", folder + "/q.txt", "--out", folder + "/q.safetensors")
            #expect(embed.code == 0, "\(embed.error)")
            let route = try Program.run("experts", "route", folder + "/whole", "--texts", folder + "/q.txt", "--json")
            let shown = try JSON(parsing: Data(route.out.utf8), path: "route").array?.first?["weights"]?.array
            #expect(abs((shown ?? []).compactMap(\.number).reduce(0, +) - 1) < 1e-9)
            #expect(try Program.run("experts", "merge", folder + "/whole", "--out", folder + "/mean").code == 0)
            #expect(
                try Program.run("experts", "repack", folder + "/whole", "--expert", "1", "--out", folder + "/r").code
                    == 0)
            let check = try Program.run("data", "check", folder + "/r")
            #expect(check.code == 0, "\(check.error)")
        }
    }

    @Test("What does not fit together is refused in a sentence")
    func refused() throws {
        try Places.withFolder { folder in
            try seed(folder)
            func fails(_ code: Int32, _ words: String, _ arguments: String...) throws {
                let result = try Program.run(arguments)
                #expect(result.code == code && result.error.contains(words), "\(result.code): \(result.error)")
            }
            let file = try recipe(folder, experts: 2)
            let x = folder + "/x"
            try fails(
                65, "clusters.fine is 500, the sample has 96 captions", "experts", "cluster", file, "--run", x, "--set",
                "clusters.fine=500")
            try fails(
                66, "has no checkpoint of step 5", "experts", "plan", file, "--run", x + "2", "--set", "seed_step=5")
            #expect(try Program.run("experts", "plan", file, "--run", x + "3").code == 0)
            try fails(
                64, "clusters.fine (8 there, 6 here)", "experts", "train", file, "--run", x + "3", "--set",
                "clusters.fine=6")
            // Another embedder's file in the folder.
            let other = try recipe(folder, experts: 2, extra: "about: other")
            #expect(
                try Program.run("experts", "cluster", other, "--run", x + "4", "--set", "clusters.seed=9").code == 0)
            try FileManager.default.removeItem(atPath: x + "3/clusters/tfidf.safetensors")
            try FileManager.default.copyItem(
                atPath: x + "4/clusters/tfidf.safetensors", toPath: x + "3/clusters/tfidf.safetensors")
            try AtomicFile.write("a\n", to: folder + "/q.txt")
            try fails(
                65, "is not the embedder these clusters were made with", "experts", "route", x + "3", "--texts",
                folder + "/q.txt")
        }
    }
}
