import Encoders
import Layers
import Support
import TensorCPU
import TensorCore
import Testing

@Suite struct TokenBatchTests {
    private static let readings: [JSON] = [
        ["pool_type": "argmax"], ["pool_type": "eos", "eos_id": 19], ["pool_type": "eos", "eos_id": 18],
        ["pool_type": "first"], ["pool_type": "last"], ["pool_type": "last", "no_causal_mask": true],
        ["embed_cls": true], ["embed_cls": true, "correct_cls_mask": true],
    ]

    /// 18 is the padding of some models and an end of others; 19 the largest id.
    @Test(
        "Texts without padding give the bits of padded ones, wherever they are read", arguments: readings, [0, 18, 19])
    func packing(_ reading: JSON, _ padding: Int32) throws {
        var text = reading.object ?? [:]
        for (key, value) in [("context_length", 7), ("vocab_size", 20), ("width", 8), ("heads", 2), ("layers", 2)] {
            text[key] = .integer(value)
        }
        text["pad_id"] = .integer(Int(padding))
        let blueprint = try Blueprint(
            [
                "embed_dim": 8, "text_cfg": .object(text),
                "vision_cfg": ["image_size": 8, "layers": 1, "width": 8, "head_width": 4, "patch_size": 8],
            ], path: "test")
        let model = try DualEncoder(FreshParameters(on: CPUDevice(threads: 1), seed: 4), blueprint)
        let texts: [[Int32]] = [[1, 5, 19], [1, 2, 3, 4, 5, 6, 19], [7], [1, 19, 19], [4, 18, 3]]
        let packed = TokenBatch(texts, contextLength: 7, padding: padding)
        let padded = TokenBatch(padded: (0..<texts.count).flatMap { packed.padded($0) }, contextLength: 7)
        #expect(
            withoutTape { model.encode(texts: packed).floats } == withoutTape { model.encode(texts: padded).floats })
        #expect(packed.slice(1..<3).padded(1) == packed.padded(2))
    }
}
