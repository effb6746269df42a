import Encoders
import Foundation
import Images
import Support
import TensorCore
import Tokenization

/// A model ready to encode: towers, preprocessing and tokenizer.
public struct LoadedModel: Sendable {
    public let model: DualEncoder
    public let preprocess: Preprocess
    public let tokenizer: any Tokenizer
    public let name: String

    public init(
        model: DualEncoder, preprocess: Preprocess, tokenizer: any Tokenizer, name: String
    ) {
        self.model = model
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.name = name
    }

    /// A model folder, with the tokenizer that stands in it, or CLIP's.
    ///
    /// - Parameter tokenizer: a tokenizer folder to use instead
    /// - Throws: `Failure` naming what is missing or does not fit.
    public init(_ path: String, tokenizer: String? = nil, on device: any Device) throws {
        let settings: JSON
        (model, settings) = try DualEncoder.read(path, on: device)
        let blueprint = model.blueprint
        let vision = blueprint.vision
        preprocess = try Preprocess(settings, height: vision.height, width: vision.width, path: path)
        guard preprocess.height == vision.height, preprocess.width == vision.width else {
            throw Failure(.badData, path, "preprocess_cfg.size is not the model's image size")
        }
        let own = path + "/tokenizer"
        if let tokenizer {
            self.tokenizer = try TokenizerCard(tokenizer).load()
        } else if FileManager.default.fileExists(atPath: own + "/card.yaml") {
            self.tokenizer = try TokenizerCard(own).load()
        } else if FileManager.default.fileExists(atPath: path + "/spiece.model") {
            // Where transformers keeps SigLIP's.
            self.tokenizer = try SentencePieceTokenizer(model: path + "/spiece.model")
        } else if let name = blueprint.config["text_cfg"]?["hf_tokenizer_name"]?.string {
            throw Failure(
                .inputMissing, own, "the model needs the tokenizer \(name), which does not stand in its folder",
                remedy: "Pass it with --tokenizer")
        } else {
            let vocabulary = BPETokenizer.installedVocabulary
            guard FileManager.default.fileExists(atPath: vocabulary) else {
                throw Failure(
                    .inputMissing, vocabulary, "CLIP's vocabulary is not installed", remedy: "Run scripts/setup")
            }
            self.tokenizer = try BPETokenizer(vocabulary: vocabulary)
        }
        guard self.tokenizer.vocabularySize <= blueprint.text.vocabulary else {
            throw Failure(
                .badData, path,
                "the tokenizer has \(self.tokenizer.vocabularySize) ids, the model's vocabulary \(blueprint.text.vocabulary)",
                remedy: "Pass the tokenizer it was trained with: --tokenizer Tokenizers/NAME")
        }
        name = (path as NSString).standardizingPath
    }

    /// [N,E] unit rows, in the order of the texts.
    public func encode(texts: [String], batch: Int = 256, progress: (Int) -> Void = { _ in }) -> [Float] {
        let length = model.blueprint.text.contextLength
        var features: [Float] = []
        features.reserveCapacity(texts.count * model.blueprint.embedWidth)
        for start in stride(from: 0, to: texts.count, by: batch) {
            let part = texts[start..<min(texts.count, start + batch)]
            let ids = part.flatMap { tokenizer.row($0, contextLength: length) }
            withoutTape { features += model.encode(texts: TokenBatch(ids, contextLength: length)).floats }
            progress(min(texts.count, start + batch))
        }
        return features
    }

    /// [N,E] unit rows, in the order of the images; each batch is decoded on all cores.
    ///
    /// - Throws: what `load` throws, for the first image that fails.
    public func encode(
        images count: Int, batch: Int = 64, progress: (Int) -> Void = { _ in },
        _ load: @Sendable (Int) throws -> any Raster
    ) throws -> [Float] {
        try Self.encode([self], images: count, batch: batch, progress: progress, load)[0]
    }

    /// The same by several models of one preprocessing: images are decoded once.
    static func encode(
        _ models: [LoadedModel], images count: Int, batch: Int = 64, progress: (Int) -> Void = { _ in },
        _ load: @Sendable (Int) throws -> any Raster
    ) throws -> [[Float]] {
        let preprocess = models[0].preprocess
        let size = 3 * preprocess.height * preprocess.width
        var features = [[Float]](repeating: [], count: models.count)
        for index in models.indices {
            features[index].reserveCapacity(count * models[index].model.blueprint.embedWidth)
        }
        for start in stride(from: 0, to: count, by: batch) {
            let range = start..<min(count, start + batch)
            var pixels = [Float](repeating: 0, count: range.count * size)
            var failures = [(any Error)?](repeating: nil, count: range.count)
            pixels.withUnsafeMutableBufferPointer { pixels in
                failures.withUnsafeMutableBufferPointer { failures in
                    nonisolated(unsafe) let (pixels, failures) = (pixels.baseAddress!, failures.baseAddress!)
                    DispatchQueue.concurrentPerform(iterations: range.count) { index in
                        do {
                            preprocess.normalized(
                                preprocess.geometry(try load(start + index)), into: pixels + index * size)
                        } catch { failures[index] = error }
                    }
                }
            }
            if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
            let input = models[0].model.device.tensor(
                pixels, shape: [range.count, 3, preprocess.height, preprocess.width])
            withoutTape {
                for (index, model) in models.enumerated() {
                    features[index] += model.model.encode(images: input).floats
                }
            }
            progress(range.upperBound)
        }
        return features
    }
}
