import Models
import Encoders
import Evaluation
import Foundation
package import Processes
import Support
package import TensorCore
import Tokenization

/// Turns captions into the unit rows that clusters and routers are made of.
package protocol CaptionEmbedder: Sendable {
    /// D
    var width: Int { get }
    var card: EmbedderCard { get }

    /// [N,D] unit rows.
    ///
    /// - Throws: `Failure` for a model that has no tokenizer, or gives rows that are not finite
    func embed(_ captions: [String], progress: (Int) -> Void) throws -> [Float]
}

/// What made the rows of a clusters file, kept with it: distances mean nothing to another embedder's rows.
package struct EmbedderCard: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// A BERT-family encoder in a transformers folder.
        case sentence
        /// The text tower of a dual encoder.
        case model
        /// Hashed TF-IDF with truncated SVD; stands in the clusters folder itself.
        case tfidf
    }

    package let kind: Kind
    /// The folder it was read from.
    package let path: String
    /// SHA-256 of weights and vocabulary.
    package let digest: String
    package let width: Int
}

extension EmbedderCard.Kind {
    /// - Throws: `Failure` naming what is missing or does not fit.
    package func open(_ path: String, on device: any Device) throws -> any CaptionEmbedder {
        switch self {
        case .sentence: try SentenceEmbedder(path, on: device)
        case .model: try TextTowerEmbedder(path, on: device)
        case .tfidf: try HashedTFIDF(file: path + "/" + HashedTFIDF.fileName)
        }
    }
}

/// A BERT-family sentence encoder: SimCSE's, MiniLM's.
package struct SentenceEmbedder: CaptionEmbedder {
    package let card: EmbedderCard
    private let model: SentenceModel
    private let tokenizer: WordPieceTokenizer

    package init(_ path: String, on device: any Device) throws {
        let folder = try SentenceFolder(path)
        let vocabulary = try TokenizerCard(path)
        guard let tokenizer = try vocabulary.load() as? WordPieceTokenizer else {
            throw Failure(.badData, path, "has a tokenizer of another kind than a sentence encoder's")
        }
        guard tokenizer.vocabularySize <= folder.shape.vocabulary else {
            throw Failure(
                .badData, path,
                "the tokenizer has \(tokenizer.vocabularySize) pieces, the model's vocab_size is \(folder.shape.vocabulary)"
            )
        }
        self.tokenizer = tokenizer
        model = try SentenceModel(folder, on: device)
        // Everything that a row depends on.
        let parts = [
            SHA256.hex(try readFile(folder.weightsPath)), tokenizer.digest, "\(tokenizer.isUncased)",
            folder.pooling.rawValue, folder.config.text(),
        ]
        card = EmbedderCard(
            kind: .sentence, path: path, digest: SHA256.hex(parts.joined(separator: "\n")), width: model.width)
    }

    package var width: Int { card.width }

    package func embed(_ captions: [String], progress: (Int) -> Void) throws -> [Float] {
        try embed(captions, over: Alone(), progress: progress)
    }

    /// The same shared out among ranks: at rank 0, none at the others.
    package func embed(
        _ captions: [String], over group: any ProcessGroup, progress: (Int) -> Void
    ) throws -> [Float] {
        let limit = min(256, model.encoder.shape.positions)
        let work = EncodeGrid(count: captions.count, batch: 256, group)
        var features: [Float] = []
        for range in work.ranges {
            let rows = model.encode(captions[range].map { tokenizer.sequence($0, limit: limit) })
            if let place = rows.firstNonFinite {
                throw Failure(
                    .badData, card.path, "the row of text \(range.lowerBound + place / width + 1) is not finite")
            }
            features += rows
            progress(work.done(after: range))
        }
        return try group.collected(features, "rows of the texts")
    }
}

/// The text tower of a model folder, with its own tokenizer.
package struct TextTowerEmbedder: CaptionEmbedder {
    package let card: EmbedderCard
    private let model: Model

    package init(_ path: String, on device: any Device) throws {
        model = try Model(path, on: device)
        let file = try HuggingFaceFolder.stands(at: path) ? path + "/model.safetensors" : ModelFolder.weights(in: path)
        card = EmbedderCard(
            kind: .model, path: path, digest: try SHA256.hex(SHA256.hex(readFile(file)) + model.tokenizer.digest),
            width: model.encoder.blueprint.embedWidth)
    }

    package var width: Int { card.width }

    package func embed(_ captions: [String], progress: (Int) -> Void) throws -> [Float] {
        try model.encode(texts: captions, progress: progress)
    }
}
