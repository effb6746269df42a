import Doctor
import Encoders
import Evaluation
import Foundation
import Images
import Layers
import Learning
import Models
import Objectives
import Optimizers
import Records
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training
import Weights

@Suite struct EncoderTests {
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
}
