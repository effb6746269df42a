package import Encoders
import Foundation
import Support
package import Tokenization

/// Finds the tokenizer that a model folder says is its own. None is ever taken because its ids happen to fit: CLIP's byte
/// pairs only where the folder says CLIP's.
package struct ModelTokenizer {
    private let folder: String
    private let blueprint: Blueprint

    /// - Parameter folder: of open_clip's or transformers' files
    package init(folder: String, blueprint: Blueprint) {
        self.folder = folder
        self.blueprint = blueprint
    }

    private var text: JSON? { blueprint.config["text_cfg"] }
    private var isHuggingFace: Bool { HuggingFaceFolder.stands(at: folder) }

    /// - Throws: `Failure` naming the tokenizer that is missing or not read
    func load() throws -> any Tokenizer {
        let tokenizer = try find()
        try check(tokenizer)
        return tokenizer
    }

    /// Whether a tokenizer goes with the model: its ids fit, and it cleans texts as `tokenizer_kwargs` says.
    ///
    /// - Throws: `Failure(.badData)` saying what does not fit
    package func check(_ tokenizer: any Tokenizer) throws {
        guard tokenizer.vocabularySize <= blueprint.text.vocabulary else {
            throw Failure(
                .badData, folder,
                "the tokenizer has \(tokenizer.vocabularySize) ids, the model's vocab_size is \(blueprint.text.vocabulary)",
                remedy: "Take the tokenizer it was trained with, or another vocab_size")
        }
        if let wanted = try Self.cleaning(of: blueprint.config, path: folder), let own = Self.cleaning(of: tokenizer),
            own != wanted
        {
            throw Failure(
                .badData, folder,
                "tokenizer_kwargs.clean is \(wanted.rawValue), the tokenizer cleans texts as \(own.rawValue)",
                remedy: "Take one with \"cleaning: \(wanted.rawValue)\" in its card.yaml, or correct text_cfg")
        }
    }

    /// How a tokenizer cleans texts; nil where that is part of its own rules.
    private static func cleaning(of tokenizer: any Tokenizer) -> TextCleaning? {
        (tokenizer as? BPETokenizer)?.cleaning ?? (tokenizer as? SentencePieceTokenizer)?.cleaning
    }

    /// `tokenizer_kwargs` of open_clip, of which `clean` is honoured; what else changes ids is refused by its name.
    private static func cleaning(of config: JSON, path: String) throws -> TextCleaning? {
        let text = config["text_cfg"]
        func refuse(_ key: String, _ value: JSON) -> Failure {
            Failure(.badData, path, "text_cfg.\(key): \(value.text()) is not built")
        }
        if let mode = text?["tokenizer_mode"], !mode.isNull, mode.string != "" { throw refuse("tokenizer_mode", mode) }
        var cleaning: TextCleaning?
        let given = text?["tokenizer_kwargs"] ?? .null
        guard given.isNull || given.object != nil else { throw refuse("tokenizer_kwargs", given) }
        for (key, value) in (given.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            let isOff = value.isNull || value.bool == false || value.string == "" || value.array?.isEmpty == true
            if key == "clean", let word = value.string {
                guard let known = TextCleaning(rawValue: word), known != .none else {
                    throw refuse("tokenizer_kwargs.clean", value)
                }
                cleaning = known
            } else if !isOff {
                throw refuse("tokenizer_kwargs.\(key)", value)
            }
        }
        return cleaning
    }

    private func find() throws -> any Tokenizer {
        let own = folder + "/tokenizer"
        if Files.exists(own + "/card.yaml") { return try TokenizerCard(own).load() }
        let file = folder + "/tokenizer_config.json"
        let settings = Files.exists(file) ? try JSON(file: file) : nil
        if let settings, settings.object == nil { throw unread("its tokenizer_config.json is no object") }
        if let type = settings?["tokenizer_class"], !type.isNull, type.string == nil {
            throw unread("its tokenizer_config.json names the class \(type.text())")
        }
        // transformers looks into the model's own configuration where the tokenizer's names no class.
        let config = isHuggingFace ? try JSON(file: folder + "/config.json") : .null
        let stated =
            settings?["tokenizer_class"]?.string ?? config["tokenizer_class"]?.string
            ?? config["text_config"]?["tokenizer_class"]?.string
        let named = stated.map { $0.hasSuffix("Fast") ? String($0.dropLast(4)) : $0 }
        if let name = text?["hf_tokenizer_name"], !name.isNull, name.string == nil {
            throw unread("hf_tokenizer_name is \(name.text())")
        }
        let hubName = text?["hf_tokenizer_name"]?.string ?? ""
        switch named {
        case "CLIPTokenizer":
            try requireCLIPVocabulary(settings)
            return try clip()
        case "SiglipTokenizer", "T5Tokenizer": return try sentencePiece(settings)
        case "BertTokenizer" where blueprint.text.sentence != nil: return try TokenizerCard(folder).load()
        case let other?: throw unread("its configuration names \(other)")
        case nil: break
        }
        let plainName = hubName.lowercased()
        let isSigLIP =
            isHuggingFace ? blueprint.initialLogitBias != nil : plainName.contains("siglip") || plainName.contains("t5")
        if isSigLIP, Files.exists(folder + "/spiece.model") { return try sentencePiece(settings) }
        guard hubName.isEmpty || hubName.hasPrefix("openai/clip-vit") else {
            throw unread("it needs \(hubName), which does not stand in its folder")
        }
        guard !isHuggingFace || !isSigLIP else { throw unread("a SigLIP model's spiece.model is not there") }
        guard blueprint.text.sentence == nil else { throw unread("its text tower is a BERT encoder") }
        guard blueprint.text.vocabulary == Self.clipVocabulary else {
            throw unread("its vocab_size of \(blueprint.text.vocabulary) is not that of CLIP's byte pairs")
        }
        if let other = Self.others.first(where: { Files.exists(folder + "/" + $0) }
        ) {
            throw unread("\(other) in its folder belongs to another kind")
        }
        try requireCLIPVocabulary(settings)
        return try clip()
    }

    private static let clipVocabulary = 49408

    /// Vocabularies of other kinds.
    private static let others = [
        "vocab.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "vocab.tiktoken", "tekken.json",
    ]

    private func unread(_ why: String) -> Failure {
        Failure(
            .inputMissing, folder, "the model's tokenizer is not known: \(why)",
            remedy: "Pass the one it was trained with: --tokenizer FOLDER (with a card.yaml)")
    }

    private func clip() throws -> any Tokenizer {
        let vocabulary = BPETokenizer.installedVocabulary
        guard Files.exists(vocabulary) else {
            throw Failure(.inputMissing, vocabulary, "CLIP's vocabulary is not installed", remedy: "Run scripts/setup")
        }
        return try BPETokenizer(
            vocabulary: vocabulary, cleaning: Self.cleaning(of: blueprint.config, path: folder) ?? .lower)
    }

    /// A folder that says CLIP's may still hold other merges, ids or special tokens: every file that is there must agree.
    private func requireCLIPVocabulary(_ settings: JSON?) throws {
        let map = folder + "/special_tokens_map.json"
        for source in [settings, Files.exists(map) ? try JSON(file: map) : nil] {
            for (key, wanted) in [("bos_token", Self.specials[0].text), ("eos_token", Self.specials[1].text)] {
                guard let token = source?[key], !token.isNull else { continue }
                guard (token.string ?? token["content"]?.string) == wanted else {
                    throw unread("its \(key) is \(token.text()), CLIP's is \(wanted)")
                }
            }
        }
        for (id, token) in settings?["added_tokens_decoder"]?.object ?? [:] {
            try requireSpecial(token["content"]?.string, Int(id), "tokenizer_config.json")
        }
        let added = folder + "/added_tokens.json"
        for (text, id) in Files.exists(added) ? try JSON(file: added).object ?? [:] : [:] {
            try requireSpecial(text, id.integer, "added_tokens.json")
        }
        let vocabulary = BPETokenizer.installedVocabulary
        guard Files.exists(vocabulary) else { return }
        if Files.exists(folder + "/merges.txt") {
            let lines = try TextLines.read(folder + "/merges.txt").filter { !$0.hasPrefix("#version") && !$0.isEmpty }
            try requireMerges(lines, vocabulary)
        }
        if Files.exists(folder + "/vocab.json") { try requireIDs(JSON(file: folder + "/vocab.json"), vocabulary) }
        guard Files.exists(folder + "/tokenizer.json") else { return }
        let json = try JSON(file: folder + "/tokenizer.json")
        try requireMerges(
            (json["model"]?["merges"]?.array ?? []).map { merge in
                merge.string ?? (merge.array ?? []).compactMap(\.string).joined(separator: " ")
            }, vocabulary)
        try requireIDs(json["model"]?["vocab"] ?? .null, vocabulary)
        for token in json["added_tokens"]?.array ?? [] {
            try requireSpecial(token["content"]?.string, token["id"]?.integer, "tokenizer.json")
        }
    }

    private static let specials = [(text: "<|startoftext|>", id: 49406), (text: "<|endoftext|>", id: 49407)]

    /// Only CLIP's own two tokens may be listed as added.
    private func requireSpecial(_ text: String?, _ id: Int?, _ file: String) throws {
        guard Self.specials.contains(where: { $0.text == text && $0.id == id }) else {
            throw unread("its \(file) adds the token \(text ?? "?")")
        }
    }

    private func requireMerges(_ theirs: [String], _ vocabulary: String) throws {
        let merges = try BPETokenizer.merges(of: vocabulary)
        guard theirs.count == merges.count, zip(theirs, merges).allSatisfy({ $0.isSameName(as: $1) }) else {
            throw unread("its byte pairs are not CLIP's")
        }
    }

    private func requireIDs(_ theirs: JSON, _ vocabulary: String) throws {
        let pieces = try BPETokenizer.pieces(of: vocabulary)
        guard let theirs = theirs.object, theirs.count == pieces.count,
            pieces.enumerated().allSatisfy({ theirs[$0.element]?.integer == $0.offset })
        else { throw unread("the ids of its vocabulary are not CLIP's") }
    }

    private func sentencePiece(_ settings: JSON?) throws -> any Tokenizer {
        let file = folder + "/spiece.model"
        guard Files.exists(file) else { throw unread("spiece.model is not there, and tokenizer.json is not read") }
        /// A text, or {"content": text}.
        func piece(_ key: String, _ fallback: String) -> String {
            settings?[key]?.string ?? settings?[key]?["content"]?.string ?? fallback
        }
        if settings?["do_lower_case"]?.bool == false { throw unread("do_lower_case: false is not built") }
        let isT5 = settings?["tokenizer_class"]?.string?.hasPrefix("T5") == true
        // open_clip's HFTokenizer collapses white space where nothing is said; SigLIP's own class also drops punctuation.
        let cleaning =
            try Self.cleaning(of: blueprint.config, path: folder) ?? (isHuggingFace ? .canonicalize : .whitespace)
        return try SentencePieceTokenizer(
            model: file, cleaning: cleaning, endPiece: piece("eos_token", "</s>"),
            paddingPiece: piece("pad_token", isT5 ? "<pad>" : "</s>"))
    }
}
