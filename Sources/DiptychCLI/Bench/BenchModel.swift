import ArgumentParser
import Encoders
import Foundation
import Layers
import Learning
import Support
import TensorCore
import Tokenization

/// The model that a benchmark runs, with fresh weights, and what it is fed.
struct BenchModel: ParsableArguments {
    @Option(help: "A model configuration, as open_clip's.") var config: String
    @Option(help: "A file with a caption a line; default: random ones of full length.") var captions: String?
    @Option(help: "The tokenizer of --captions.") var tokenizer = "Tokenizers/clip-bpe"

    @Flag(help: "Recompute transformer blocks in the backward pass instead of keeping their values.")
    var checkpointing =
        false

    var captionName: String { captions.map { "captions of \($0)" } ?? "full-length captions" }

    func model(on device: any Device) throws -> DualEncoder {
        var model = try DualEncoder(FreshParameters(on: device, seed: 0), Blueprint(JSON(file: config), path: config))
        model.recomputes = checkpointing
        return model
    }

    /// Noise, on its way to the device at every call, as a batch's bytes are.
    func images(_ count: Int, _ model: DualEncoder) -> () -> ImageBatch {
        let shape = [count, model.blueprint.vision.height, model.blueprint.vision.width, 3]
        var stream = RandomStream(seed: 1, purpose: "bench")
        let bytes = HostBytes(count: shape.reduce(1, *))
        let words = bytes.part(0..<bytes.count).bindMemory(to: UInt64.self)
        for index in words.indices { words[index] = stream.next() }
        let device = model.device
        let table = device.tensor((0..<768).map { Float($0 % 256) / 74 - 1.73 }, shape: [3, 256])  // deviation 1
        return {
            let pixels = device.empty(shape, .uint8)
            device.upload(bytes.bytes, into: pixels)
            return ImageBatch(pixels: pixels, table: table)
        }
    }

    /// Batches of token ids, a file's lines taken in turn.
    func captions(_ size: Int, _ model: DualEncoder, batches: Int) throws -> [TokenBatch] {
        let (length, vocabulary) = (model.blueprint.text.contextLength, model.blueprint.text.vocabulary)
        guard vocabulary > 2 else { throw Failure(.badData, config, "text_cfg.vocab_size is too small") }
        if let captions {
            let tokenizer = try TokenizerCard(tokenizer).load()
            guard tokenizer.vocabularySize <= vocabulary else {
                throw Failure(.badData, config, "has a smaller vocabulary than \(self.tokenizer)")
            }
            let lines = try TextLines.read(captions).filter { !$0.isEmpty }
            guard !lines.isEmpty else { throw Failure(.badData, captions, "holds no captions") }
            return (0..<batches).map { batch in
                let ids = (0..<size).map {
                    tokenizer.ids(lines[(batch * size + $0) % lines.count], contextLength: length)
                }
                return TokenBatch(ids, contextLength: length, padding: tokenizer.padding)
            }
        }
        var stream = RandomStream(seed: 1, purpose: "bench captions")
        let end = if case .eos(let id) = model.blueprint.text.pooling { Int32(id) } else { Int32(vocabulary - 1) }
        return (0..<batches).map { _ in
            let ids = (0..<size).flatMap { _ in
                (0..<length - 1).map { _ in 2 + Int32(stream.integer(below: max(1, vocabulary - 3))) } + [end]
            }
            return TokenBatch(padded: ids, contextLength: length)
        }
    }
}
