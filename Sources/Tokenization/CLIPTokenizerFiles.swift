import Foundation
import Support

extension BPETokenizer {
    /// The merges in their order, "a b" each.
    package static func merges(of path: String) throws -> [String] {
        Array(try TextLines.split(Gzip.contents(of: path), path: path).dropFirst().prefix(mergeCount))
    }

    private static let specials = ["<|startoftext|>", "<|endoftext|>"]

    /// The vocabulary in the order of its ids, as transformers spells it.
    package static func pieces(of path: String) throws -> [String] {
        let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
        let codes: [Int] = printable + Array(256..<256 + 256 - printable.count)
        let letters = codes.map { String(Character(Unicode.Scalar(point: $0))) }
        let merged = try merges(of: path).map { $0.filter { $0 != " " } }
        return letters + letters.map { $0 + "</w>" } + merged + specials
    }

    /// The vocabulary as transformers' CLIPTokenizer reads it: `vocab.json`, `merges.txt` and what its special tokens are.
    ///
    /// - Parameter path: bpe_simple_vocab_16e6.txt.gz
    /// - Throws: `Failure(.badData)` naming the first wrong line
    package static func writeHuggingFace(vocabulary path: String, contextLength: Int, to folder: String) throws {
        _ = try BPETokenizer(vocabulary: path)  // checked
        let (merges, pieces) = (try merges(of: path), try pieces(of: path))
        let (start, end) = (specials[0], specials[1])
        let vocabulary = JSON.object(
            Dictionary(uniqueKeysWithValues: pieces.enumerated().map { ($0.element, .integer($0.offset)) }))
        let special: JSON = [
            "bos_token": .string(start), "eos_token": .string(end), "unk_token": .string(end),
            "pad_token": .string(end),
        ]
        let settings = special.setting("tokenizer_class", to: "CLIPTokenizer").setting("do_lower_case", to: true)
            .setting("model_max_length", to: .integer(contextLength))
        try AtomicFile.write(vocabulary.text() + "\n", to: folder + "/vocab.json")
        try AtomicFile.write(
            "#version: 0.2\n" + merges.joined(separator: "\n") + "\n", to: folder + "/merges.txt")
        try AtomicFile.write(special.text(indent: 2) + "\n", to: folder + "/special_tokens_map.json")
        try AtomicFile.write(settings.text(indent: 2) + "\n", to: folder + "/tokenizer_config.json")
    }

    /// Where set-up puts CLIP's vocabulary.
    package static var installedVocabulary: String { cacheFolder + "/tokenizers/clip-bpe/bpe_simple_vocab_16e6.txt.gz" }
}
