import CSentencePiece
import Foundation
import Support

/// A sentencepiece model (Kudo and Richardson 2018, arXiv:1808.06226) with SigLIP's end and padding.
package final class SentencePieceTokenizer: Tokenizer, @unchecked Sendable {
    package let digest: String
    package let end: Int32
    package let padding: Int32
    package let cleaning: TextCleaning
    private let model: OpaquePointer

    /// - Throws: `Failure(.badData)` when the file is no sound sentencepiece model.
    package init(model path: String, cleaning: TextCleaning = .canonicalize, end: Int32 = 1, padding: Int32 = 1) throws
    {
        let data = try readFile(path)
        try SentencePieceModel.check(data, path: path)
        var message = [CChar](repeating: 0, count: 200)
        let loaded = data.withUnsafeBytes { sp_load($0.bindMemory(to: UInt8.self).baseAddress, $0.count, &message) }
        guard let loaded else {
            let reason = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw Failure(.badData, path, "is no sentencepiece model: \(reason)")
        }
        model = loaded
        digest = SHA256.hex(data)
        self.cleaning = cleaning
        self.end = end
        self.padding = padding
    }

    deinit { sp_free(model) }

    /// The same model with its end and padding by the pieces that stand for them, as transformers names them.
    ///
    /// - Throws: `Failure(.badData)` for a piece that the model does not have
    package convenience init(
        model path: String, cleaning: TextCleaning = .canonicalize, endPiece: String, paddingPiece: String
    ) throws {
        let plain = try SentencePieceTokenizer(model: path)
        func id(_ piece: String) throws -> Int32 {
            let id = sp_piece(plain.model, piece)
            guard id >= 0 else {
                throw Failure(.badData, path, "has no piece \(piece), which its tokenizer_config.json names")
            }
            return id
        }
        try self.init(model: path, cleaning: cleaning, end: id(endPiece), padding: id(paddingPiece))
    }

    package var vocabularySize: Int { Int(sp_vocabulary(model)) }

    package func encode(_ text: String, limit: Int) -> [Int32] {
        let bytes = Array(cleaning(text).utf8)
        var ids = [Int32](repeating: 0, count: bytes.count + 8)
        var count = sp_encode(model, bytes, bytes.count, &ids, ids.count)
        if count > ids.count {  // the model's own normalisation lengthened the text
            ids = [Int32](repeating: 0, count: count)
            count = sp_encode(model, bytes, bytes.count, &ids, ids.count)
        }
        precondition(count >= 0, "sentencepiece could not encode a text of \(bytes.count) bytes")
        return Array(ids.prefix(count))
    }

    /// SigLIP's: ids cut to one less than the context, the end ("sticky").
    package func ids(_ text: String, contextLength: Int) -> [Int32] {
        encode(text, limit: contextLength).prefix(contextLength - 1) + [end]
    }

    /// Trains a unigram model laid out as T5's: padding 0, end 1, unknown 2, no start.
    ///
    /// - Parameters:
    ///   - input: a text file, one caption per line
    ///   - prefix: where to write, without ".model"
    /// - Throws: `Failure(.badData)` with sentencepiece's own words.
    package static func train(input: String, vocabularySize: Int, prefix: String) throws {
        let arguments = [
            "--input=\(input)", "--model_prefix=\(prefix)", "--vocab_size=\(vocabularySize)", "--model_type=unigram",
            "--pad_id=0", "--eos_id=1", "--unk_id=2", "--bos_id=-1", "--character_coverage=1.0", "--num_threads=1",
            "--hard_vocab_limit=false", "--minloglevel=2", "--max_sentence_length=100000000", "--input_sentence_size=0",
            "--shuffle_input_sentence=false", "--normalization_rule_name=identity",
        ]
        var message = [CChar](repeating: 0, count: 200)
        guard sp_train(arguments.joined(separator: " "), &message) == 0 else {
            let reason = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw Failure(.badData, input, "sentencepiece could not train: \(reason)")
        }
    }
}
