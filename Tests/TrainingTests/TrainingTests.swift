import Records
import Learning
import Encoders
import Foundation
import Layers
import Objectives
import Optimizers
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
            Recipe(recipe, overrides: set), run: run, resume: resume, on: CPUDevice(threads: threads),
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

    private func batch(_ device: any Device, _ blueprint: Blueprint, count: Int) -> PairBatch {
        var stream = RandomStream(seed: 2, purpose: "batch")
        let shape = [count, 3, blueprint.vision.height, blueprint.vision.width]
        let images = device.tensor((0..<shape.reduce(1, *)).map { _ in Float(stream.normal()) }, shape: shape)
        let length = blueprint.text.contextLength
        let ids = (0..<count).flatMap { row in
            (0..<length).map {
                $0 == 3 + row % (length - 3)
                    ? Int32(blueprint.text.vocabulary - 1) : Int32(stream.integer(below: blueprint.text.vocabulary - 1))
            }
        }
        return PairBatch(images: ImageBatch(images), texts: TokenBatch(padded: ids, contextLength: length))
    }

    private func blueprint() throws -> Blueprint {
        try Blueprint(
            [
                "embed_dim": 16, "init_logit_bias": -10,
                "vision_cfg": ["image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8],
                "text_cfg": ["context_length": 10, "vocab_size": 50, "width": 16, "heads": 2, "layers": 2],
            ], path: "test")
    }

    @Test(
        "Cached features and recomputation give the undivided batch's loss and gradients", arguments: Objective.allCases
    )
    func cachedFeatures(_ objective: Objective) throws {
        let device = CPUDevice(threads: 2)
        let blueprint = try blueprint()
        var model = try DualEncoder(FreshParameters(on: device, seed: 1), blueprint)
        let batch = batch(device, blueprint, count: 13)
        let whole = LearningTask.contrastive(model, objective).gradients(batch)
        let parts = LearningTask.contrastive(model, objective).gradients(batch, chunk: 5)
        model.recomputes = true
        let again = LearningTask.contrastive(model, objective).gradients(batch)
        for other in [parts, again] {
            #expect(abs(other.loss.scalar - whole.loss.scalar) <= 1e-6 * abs(whole.loss.scalar))
            for (entry, its) in zip(whole.gradients.entries, other.gradients.entries) {
                // The softmax loss has no gradient for the bias.
                guard let a = entry.gradient, let b = its.gradient else { continue }
                let name = entry.name
                let largest = max(1e-4, a.floats.map(abs).max()!)
                #expect(Close.absolute(a.floats, b.floats) <= 1e-5 * Double(largest), "\(name)")
            }
        }
        // Recomputing is the same arithmetic: the same bits.
        #expect(
            zip(whole.gradients.entries, again.gradients.entries).allSatisfy {
                $0.gradient?.floats == $1.gradient?.floats
            })
    }

    @Test("Packed captions give the same features as padded ones")
    func packing() throws {
        let device = CPUDevice(threads: 2)
        let blueprint = try blueprint()
        let model = try DualEncoder(FreshParameters(on: device, seed: 1), blueprint)
        let texts = batch(device, blueprint, count: 7).texts
        let packed = withoutTape { model.text(texts) }.floats
        let padded = withoutTape { model.text(texts, isPacked: false) }.floats
        #expect(Close.relative(padded, packed) < 1e-6)
    }

    @Test("Frozen parameters get no gradient and do not move")
    func freezing() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(in: folder, extra: "freeze: [\"visual.*\"]")
            let trainer = try Trainer(
                Recipe(tiny.recipe), run: folder + "/run", resume: false, on: CPUDevice(threads: 1), observer: Watcher()
            )
            let before = trainer.model.parameters.map(\.value.floats)
            try trainer.train()
            for (parameter, old) in zip(trainer.model.parameters, before) {
                #expect((parameter.value.floats == old) == parameter.name.hasPrefix("visual."), "\(parameter.name)")
            }
        }
    }

    @Test("New parameters start as the specifications say")
    func initialisation() throws {
        let blueprint = try Blueprint(
            [
                "embed_dim": 64,
                "vision_cfg": ["image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8],
                "text_cfg": ["context_length": 16, "vocab_size": 500, "width": 64, "heads": 2, "layers": 3],
            ], path: "test")
        let model = try DualEncoder(FreshParameters(on: CPUDevice(threads: 1), seed: 5), blueprint)
        func deviation(_ name: String) -> Double {
            let values = model.parameters.first { $0.name == name }!.value.floats
            return (values.reduce(0.0) { $0 + Double($1 * $1) } / Double(values.count)).squareRoot()
        }
        // Deviations of a few thousand draws are good to about 3 %.
        func expect(_ name: String, _ wanted: Double) {
            #expect(abs(deviation(name) / wanted - 1) < 0.06, "\(name): \(deviation(name)), wanted \(wanted)")
        }
        expect("visual.proj", 0.125)
        expect("visual.conv1.weight", 1 / (192 * 3.0).squareRoot())
        expect("visual.transformer.resblocks.0.attn.in_proj_weight", (2.0 / 256).squareRoot())
        expect("visual.transformer.resblocks.1.mlp.c_proj.weight", 1 / (256 * 3.0).squareRoot())
        expect("token_embedding.weight", 0.02)
        expect("positional_embedding", 0.01)
        expect("transformer.resblocks.0.attn.in_proj_weight", 0.125)
        expect("transformer.resblocks.2.attn.out_proj.weight", 0.125 / 6.0.squareRoot())
        expect("transformer.resblocks.1.mlp.c_fc.weight", 1 / 128.0.squareRoot())
        expect("text_projection", 0.125)
        #expect(model.logScale.value.scalar == 2.65926)
    }

    /// Counts what a module asks for and makes nothing.
    private final class ParameterCounter: ParameterSource {
        let nothing = CPUDevice(threads: 1).empty([0])
        var count = 0

        func parameter(_ name: String, _ shape: [Int], _ initial: Initial) -> Parameter {
            let isBuffer = name.contains("running_") || name.hasSuffix("num_batches_tracked")
            if !isBuffer { count += shape.reduce(1, *) }
            return Parameter(name: name, value: nothing)
        }
    }

    // open_clip's counts for its configurations of these names, bar the buffers.
    @Test(
        "Sizes of published models give their published parameter counts",
        arguments: [
            ("RN101", 119_688_033), ("RN50", 102_007_137), ("RN50x16", 290_979_217), ("RN50x4", 178_300_601),
            ("RN50x64", 623_258_305), ("ViT-B-16-SigLIP-256", 203_202_050), ("ViT-B-16-SigLIP-384", 203_447_810),
            ("ViT-B-16-SigLIP-512", 203_791_874), ("ViT-B-16-SigLIP", 203_155_970),
            ("ViT-B-16-SigLIP2-256", 375_234_050), ("ViT-B-16-SigLIP2-384", 375_479_810),
            ("ViT-B-16-SigLIP2-512", 375_823_874), ("ViT-B-16-SigLIP2", 375_187_970),
            ("ViT-B-16-quickgelu", 149_620_737), ("ViT-B-16", 149_620_737), ("ViT-B-32-quickgelu", 151_277_313),
            ("ViT-B-32", 151_277_313), ("ViT-H-14-quickgelu", 986_109_441), ("ViT-H-14", 986_109_441),
            ("ViT-L-14-336-quickgelu", 427_944_193), ("ViT-L-14-336", 427_944_193),
            ("ViT-L-14-quickgelu", 427_616_513), ("ViT-L-14", 427_616_513), ("ViT-L-16-SigLIP-256", 652_150_786),
            ("ViT-L-16-SigLIP-384", 652_478_466), ("ViT-L-16-SigLIP2-256", 881_526_786),
            ("ViT-L-16-SigLIP2-384", 881_854_466), ("ViT-L-16-SigLIP2-512", 882_313_218),
            ("ViT-SO400M-14-SigLIP-384", 877_960_498), ("ViT-SO400M-14-SigLIP", 877_360_306),
            ("ViT-SO400M-14-SigLIP2", 1_135_463_602), ("ViT-SO400M-16-SigLIP2-256", 1_135_670_962),
            ("ViT-SO400M-16-SigLIP2-384", 1_136_039_602), ("ViT-SO400M-16-SigLIP2-512", 1_136_555_698),
            ("ViT-g-14", 1_366_678_273), ("ViTamin-B", 150_953_345), ("ViTamin-L", 456_968_353),
            ("ViTamin-L2", 687_612_833), ("ViTamin-S", 62_469_185), ("ViTamin-XL-256", 924_776_257),
        ])
    func parameterCount(_ name: String, _ count: Int) throws {
        let path = "\(Places.project)/Recipes/models/\(name).json"
        let counter = ParameterCounter()
        _ = try DualEncoder(counter, Blueprint(JSON(file: path), path: path))
        #expect(counter.count == count)
    }

    @Test("A configuration with an unknown or unsupported key names it")
    func wrongConfiguration() {
        let unknown = #expect(throws: Failure.self) {
            try Blueprint(["embed_dim": 8, "vision_cfg": ["widht": 3], "text_cfg": [:]], path: "m.json")
        }
        #expect(unknown?.description == "m.json: unknown key vision_cfg.widht. Did you mean width?")
        let unsupported = #expect(throws: Failure.self) {
            try Blueprint(["embed_dim": 8, "vision_cfg": ["qk_norm": true], "text_cfg": [:]], path: "m.json")
        }
        #expect(unsupported?.description == "m.json: vision_cfg.qk_norm: true is not supported by this version.")
    }

    @Test("Weight decay covers matrices and leaves out vectors, biases, norms and the logit scale")
    func decayGroups() {
        #expect(AdamW.decays("visual.conv1.weight", dimensions: 4))
        #expect(AdamW.decays("visual.trunk.attn_pool.latent", dimensions: 3))
        #expect(AdamW.decays("positional_embedding", dimensions: 2))
        #expect(!AdamW.decays("visual.ln_pre.weight", dimensions: 1))
        #expect(!AdamW.decays("logit_scale", dimensions: 0))
        #expect(!AdamW.decays("text_projection.bias", dimensions: 1))
    }
}
