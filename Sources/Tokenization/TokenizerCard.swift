import Foundation
import StrictYAML
package import Support

/// A folder under Tokenizers/: `card.yaml` says which kind it is and where its vocabulary comes from.
package struct TokenizerCard: Sendable {
    package let folder: String
    package let kind: Kind
    package let file: String
    package let digest: String?
    package let cleaning: TextCleaning
    package let end: Int
    package let padding: Int
    /// WordPiece: lower case, accents removed.
    package let isUncased: Bool

    package enum Kind: String, Sendable, CaseIterable {
        case clipBPE = "clip_bpe"
        case sentencePiece = "sentencepiece"
        case wordPiece = "wordpiece"
    }

    /// - Parameter folder: in the working folder, or among Diptych's own files
    /// - Throws: `Failure` naming file and key.
    package init(_ folder: String) throws {
        let folder = Paths.find(folder) ?? folder
        self.folder = folder
        let path = folder + "/card.yaml"
        if !Files.exists(path),
            Files.exists(folder + "/vocab.txt")
        {
            // A transformers folder of a BERT encoder.
            let settings = folder + "/tokenizer_config.json"
            let json = Files.exists(settings) ? try JSON(file: settings) : .null
            let lower = json["do_lower_case"]?.bool
            guard json["strip_accents"]?.bool ?? (lower ?? true) == lower ?? true,
                json["tokenize_chinese_chars"]?.bool ?? true
            else {
                throw Failure(
                    .badData, settings, "strip_accents and tokenize_chinese_chars are built as BERT's own only")
            }
            (kind, file, digest, cleaning, end, padding) = (.wordPiece, "vocab.txt", nil, .none, 0, 0)
            isUncased = lower ?? true
            return
        }
        guard Files.exists(path) else {
            throw Failure(
                .inputMissing, folder, "is no tokenizer folder: it has no card.yaml",
                remedy: "See Tokenizers/ for those that come with Diptych")
        }
        let card = try Section(file: path)
        kind = try card.choice("kind")
        let name = try card.string("file")
        do { _ = try Files.inside(folder, name, of: path) } catch let failure as Failure {
            throw card.wrong("file", failure.problem, remedy: failure.remedy)
        }
        file = name
        digest = try card.optionalString("sha256")
        cleaning = try card.choice("cleaning", default: .lower)
        end = try card.integer("end", default: 1, in: 0...Int(Int32.max))
        padding = try card.integer("padding", default: 1, in: 0...Int(Int32.max))
        isUncased = try card.bool("uncased", default: true)
        for key in ["about", "origin", "licence", "install"] { _ = try card.optionalString(key) }
        try card.finish()
    }

    /// The vocabulary beside the card, or where scripts/setup puts it: `$DIPTYCH_CACHE/tokenizers/<folder>/`.
    package func load() throws -> any Tokenizer {
        let name = (folder as NSString).standardizingPath.split(separator: "/").last.map(String.init) ?? folder
        let candidates = [folder + "/" + file, "\(cacheFolder)/tokenizers/\(name)/\(file)"]
        guard let path = candidates.first(where: { Files.exists($0) }) else {
            throw Failure(
                .inputMissing, candidates[1], "the vocabulary of \(name) is not installed", remedy: "Run scripts/setup")
        }
        let tokenizer: any Tokenizer
        switch kind {
        case .clipBPE: tokenizer = try BPETokenizer(vocabulary: path, cleaning: cleaning)
        case .sentencePiece:
            tokenizer = try SentencePieceTokenizer(
                model: path, cleaning: cleaning, end: Int32(end), padding: Int32(padding))
        case .wordPiece: tokenizer = try WordPieceTokenizer(vocabulary: path, isUncased: isUncased)
        }
        guard kind != .sentencePiece || max(end, padding) < tokenizer.vocabularySize else {
            throw Failure(
                .badData, folder + "/card.yaml", "end or padding is outside of the \(tokenizer.vocabularySize) pieces")
        }
        if let digest, digest != tokenizer.digest {
            throw Failure(
                .badData, path, "is not the file its card names (SHA-256 \(tokenizer.digest))",
                remedy: "Remove it and run scripts/setup")
        }
        return tokenizer
    }
}

extension TokenizerCard {
    /// The rules that stand in the card, apart from the vocabulary: what else the ids depend on.
    package var rules: JSON {
        [
            "kind": .string(kind.rawValue), "cleaning": .string(cleaning.rawValue), "end": .integer(end),
            "padding": .integer(padding), "uncased": .bool(isUncased),
        ]
    }

    /// Puts card and vocabulary into a folder of their own.
    package func copy(to target: String) throws {
        try Files.makeFolder(target)
        let card =
            Files.exists(folder + "/card.yaml")
            ? try readFile(folder + "/card.yaml")
            : Data("kind: \(kind.rawValue)\nfile: \(file)\nuncased: \(isUncased)\n".utf8)
        try AtomicFile.write(card, to: target + "/card.yaml")
        try AtomicFile.write(readFile(folder + "/" + file), to: Files.inside(target, file, of: folder + "/card.yaml"))
    }
}
