import Encoders
import Layers
package import Learning
import Objectives
import Optimizers
import Support
import TensorCPU
package import TensorCore
import TensorReference

/// Ten steps of a small model from the same start on one batch, for devices to be compared by.
package struct TenSteps: Sendable, CustomStringConvertible {
    package let description: String
    private let blueprint: JSON
    private let objective: Objective
    /// What its losses in bfloat16 are held against.
    private enum Peer: Sendable {
        /// The CPU's in float32
        case single
        /// The reference device's, rounded after every call: norms over few values amplify rounding, whoever rounds.
        case rounded
        /// Nothing: a batch norm over six values amplifies whatever differs in the last bit.
        case none
    }

    private var peer = Peer.single

    package static let all = [
        TenSteps(
            description: "ViT, sigmoid",
            blueprint: [
                "embed_dim": 32, "init_logit_bias": -10,
                "vision_cfg": ["image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8],
                "text_cfg": ["context_length": 12, "vocab_size": 50, "width": 64, "heads": 2, "layers": 2],
            ], objective: .sigmoid),
        TenSteps(
            description: "ViTamin, softmax",
            blueprint: [
                "embed_dim": 32, "custom_text": true,
                "vision_cfg": [
                    "image_size": 32, "timm_model_name": "vitamin_small_224", "timm_pool": "", "timm_proj": "linear",
                    "timm_drop": 0, "timm_drop_path": 0,
                    "timm_model_kwargs": [
                        "img_size": 32, "embed_dim": 64, "depth": 1, "num_heads": 2,
                        "embed_cfg": ["embed_dim": [8, 16, 64], "depths": [1, 1, 1], "stem_width": 8],
                    ],
                ],
                "text_cfg": ["context_length": 12, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1],
            ], objective: .softmax, peer: .rounded),
        TenSteps(
            description: "ResNet, softmax",
            blueprint: [
                "embed_dim": 32,
                "vision_cfg": ["image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32],
                "text_cfg": ["context_length": 12, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1],
            ], objective: .softmax, peer: .none),
    ]

    /// What each step came to, and every weight after the last.
    package struct Result: Sendable {
        package let losses: [Float]
        package let weights: [[Float]]
    }

    package func run(on device: any Device, as element: Element = .float32, count: Int = 6) throws -> Result {
        var step = try start(on: device, as: element)
        let batch = batch(on: device, count: count)
        let losses = try (0..<10).map { _ in try step(batch, rate: 2e-5).wait().loss }
        return Result(losses: losses, weights: step.task.model.state.map { $0.value.floats })
    }

    package func start(on device: any Device, as element: Element) throws -> Step {
        var settings = StepSettings(clip: 1)
        settings.element = element
        let model = try DualEncoder(FreshParameters(on: device, seed: 1), Blueprint(blueprint, path: description))
        return Step(.contrastive(model, objective), AdamW(.init()), settings)
    }

    package func batch(on device: any Device, count: Int) -> PairBatch {
        var stream = RandomStream(seed: 2, purpose: "batch")
        let pixels = (0..<count * 3072).map { _ in UInt8(stream.integer(below: 256)) }
        let table = (0..<768).map { Float($0 % 256) / 127.5 - 1 }
        let texts = (0..<count).map { row in (0..<3 + row % 4).map { _ in Int32(stream.integer(below: 49)) } + [49] }
        return PairBatch(
            images: ImageBatch(
                pixels: device.tensor(pixels, shape: [count, 32, 32, 3]), table: device.tensor(table, shape: [3, 256])),
            texts: TokenBatch(texts, contextLength: 12, padding: 0))
    }

    /// Whether losses are within 1e-4 of the CPU's in float32, within 1 % of the peer's in bfloat16; and how far they are.
    package func isClose(_ result: Result, _ precision: Precision) throws -> (isClose: Bool, distance: Double) {
        let other: any Device
        switch (precision, peer) {
        case (.fp32, _), (.tf32, _), (.bf16, .single): other = CPUDevice()
        case (.bf16, .rounded): other = ReferenceDevice()
        case (.bf16, .none): return (result.losses.allSatisfy(\.isFinite), 0)
        }
        let element: Element = other is ReferenceDevice ? .bfloat16 : .float32
        let distance = Self.difference(try run(on: other, as: element), result)
        return (distance < (precision == .fp32 ? 1e-4 : 1e-2), distance)
    }

    /// The largest difference of two runs' losses, relative to each loss.
    package static func difference(_ a: Result, _ b: Result) -> Double {
        zip(a.losses, b.losses).map { Double(abs($0 - $1)) / Double(max(abs($0), 1e-6)) }
            .reduce(0) { $1.isNaN ? .infinity : max($0, $1) }
    }
}
