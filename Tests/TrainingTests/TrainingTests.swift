import Encoders
import Foundation
import Layers
import Learning
import Objectives
import Optimizers
import Records
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training

@Suite struct TrainingTests {
    private func train(_ recipe: String, _ run: String, threads: Int = 2, set: [String] = [], resume: Bool = false)
        throws -> [Double]
    {
        let watcher = Watcher()
        let trainer = try Trainer(
            Recipe(recipe, overrides: set), run: RunPlace(run, resume: resume), on: CPUDevice(threads: threads),
            observer: watcher)
        try trainer.train()
        return watcher.steps.map(\.loss)
    }

    private func weights(_ run: String) throws -> Data { try readFile(run + "/model/open_clip_model.safetensors") }

    @Test(
        "One thread and three give the same losses and weights, bit for bit", arguments: [Objective.softmax, .sigmoid])
    func threads(_ objective: Objective) throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let set = ["objective=\(objective.rawValue)"]
            let one = try train(tiny.recipe, folder + "/one", threads: 1, set: set + ["data.threads=1"])
            let three = try train(tiny.recipe, folder + "/three", threads: 3, set: set + ["data.threads=3"])
            #expect(one == three)
            #expect(try weights(folder + "/one") == weights(folder + "/three"))
            #expect(one.last! < one.first!)
        }
    }

    @Test("A run stopped anywhere and resumed ends with the same losses and weights, bit for bit", arguments: [4, 8])
    func resume(_ stop: Int) throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let whole = try train(tiny.recipe, folder + "/whole")
            _ = try train(tiny.recipe, folder + "/cut")
            // As if the process had died after that checkpoint.
            for step in [4, 8, 12] where step > stop {
                try FileManager.default.removeItem(atPath: "\(folder)/cut/checkpoints/step-\(step)")
            }
            try FileManager.default.removeItem(atPath: folder + "/cut/model")
            let rest = try train(tiny.recipe, folder + "/cut", resume: true)
            #expect(rest == Array(whole[stop...]))
            #expect(try weights(folder + "/cut") == weights(folder + "/whole"))
            let logged = try String(decoding: readFile(folder + "/cut/metrics.jsonl"), as: UTF8.self).split(
                separator: "\n"
            ).count { $0.contains("\"loss\"") }
            #expect(logged == 12)
        }
    }

    @Test("A changed recipe is refused on resume and the key is named")
    func changedRecipe() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            _ = try train(tiny.recipe, folder + "/run")
            let failure = #expect(throws: Failure.self) {
                try train(tiny.recipe, folder + "/run", set: ["optimizer.rate=0.5"], resume: true)
            }
            #expect(failure?.kind == .usage)
            #expect(failure?.problem == "the recipe differs from the run's: optimizer.rate (0.001 there, 0.5 here)")
            let again = #expect(throws: Failure.self) { try train(tiny.recipe, folder + "/run") }
            #expect(again?.kind == .usage)
        }
    }

    @Test("A loss that is not finite stops the run, names step and samples and keeps the checkpoint")
    func notFinite() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder)
            let failure = #expect(throws: Failure.self) {
                try train(
                    tiny.recipe, folder + "/run",
                    set: ["optimizer.rate=1e30", "optimizer.clip=1e30", "checkpoints.every=1"])
            }
            #expect(failure?.subject.hasPrefix("step ") == true)
            #expect(failure?.problem.contains("scene-") == true)
            #expect(Files.exists(folder + "/run/checkpoints/step-1/state.json"))
        }
    }

    @Test("Frozen parameters get no gradient and do not move")
    func freezing() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder, extra: "freeze: [\"visual.*\"]")
            let trainer = try Trainer(
                Recipe(tiny.recipe), run: RunPlace(folder + "/run", resume: false), on: CPUDevice(threads: 1),
                observer: Watcher()
            )
            let before = trainer.model.parameters.map(\.value.floats)
            try trainer.train()
            for (parameter, old) in zip(trainer.model.parameters, before) {
                #expect((parameter.value.floats == old) == parameter.name.hasPrefix("visual."), "\(parameter.name)")
            }
        }
    }
}
