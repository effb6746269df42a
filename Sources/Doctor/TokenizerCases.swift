import Foundation
import Support
import Tokenization
import Weights

extension Doctor {
    func tokenizerCases() throws -> [StageResult] {
        guard let clipVocabulary else {
            return [
                StageResult(
                    "CLIP byte-pair", .notRun(reason: "the CLIP vocabulary is not installed (run scripts/setup)"))
            ]
        }
        var stages = TokenizerStages(
            cases: try JSON(file: path("tokenizers/cases.json")).array ?? [],
            ids: try Safetensors(path("tokenizers/ids.safetensors")))
        stages.cleaning("mending (ftfy)", "ftfy", TextRepair.mended)
        stages.cleaning("cleaning, lower", "clean_lower") { TextCleaning.lower($0) }
        stages.cleaning("cleaning, whitespace", "clean_whitespace") { TextCleaning.whitespace($0) }
        stages.cleaning("cleaning, canonicalize", "clean_canonicalize") { TextCleaning.canonicalize($0) }
        stages.cleaning("canonical text alone", "canonicalize_text_only", Clean.canonicalize)
        for (name, key, cleaning) in [
            ("CLIP byte-pair", "clip_ids", TextCleaning.lower),
            ("CLIP byte-pair, case kept", "clip_keep_case_ids", .whitespace),
            ("CLIP byte-pair, canonical text", "clip_canonical_ids", .canonicalize),
        ] { stages.listed(name, key, try BPETokenizer(vocabulary: clipVocabulary, cleaning: cleaning)) }
        try stages.rows("CLIP byte-pair", "clip", BPETokenizer(vocabulary: clipVocabulary))
        for (kind, padding) in [("unigram", Int32(1)), ("bpe", 0)] {
            let model = path("tokenizers/\(kind).model")
            guard Files.exists(model) else { continue }
            func tokenizer(_ cleaning: TextCleaning) throws -> SentencePieceTokenizer {
                try SentencePieceTokenizer(model: model, cleaning: cleaning, padding: padding)
            }
            stages.listed("sentencepiece \(kind), raw text", "\(kind)_ids", try tokenizer(.none))
            stages.listed("sentencepiece \(kind)", "\(kind)_canonical_ids", try tokenizer(.canonicalize))
            try stages.rows("sentencepiece \(kind)", "siglip_\(kind)", tokenizer(.canonicalize))
            try stages.rows("T5 \(kind)", "t5_\(kind)", tokenizer(.canonicalize))
        }
        return stages.results
    }
}

private struct TokenizerStages {
    private let cases: [JSON]
    private let texts: [String]
    private let ids: Safetensors
    private(set) var results: [StageResult] = []

    init(cases: [JSON], ids: Safetensors) {
        (self.cases, self.ids) = (cases, ids)
        texts = cases.map { $0["text"]?.string ?? "" }
    }

    private mutating func stage(_ name: String, _ isRight: (Int) -> Bool) {
        let wrong = cases.indices.filter { !isRight($0) }
        let outcome: StageResult.Outcome =
            wrong.isEmpty
            ? .passed
            : .failed(cause: "\(wrong.count) of \(cases.count) differ, first \(texts[wrong[0]].debugDescription)")
        results.append(StageResult(name, outcome, absolute: Double(wrong.count)))
    }

    /// Against the listed strings, compared by code point.
    mutating func cleaning(_ name: String, _ key: String, _ clean: (String) -> String) {
        guard cases.contains(where: { $0[key] != nil }) else { return }
        let (cases, texts) = (cases, texts)
        stage(name) { row in
            let expected = cases[row][key] ?? .null
            // ftfy: null where it changes nothing
            let text = expected.isNull ? texts[row] : expected.string ?? ""
            return clean(texts[row]).unicodeScalars.elementsEqual(text.unicodeScalars)
        }
    }

    /// Against the listed ids, of which there are 200 at most.
    mutating func listed(_ name: String, _ key: String, _ tokenizer: any Tokenizer) {
        guard cases.contains(where: { $0[key] != nil }) else { return }
        let (cases, texts) = (cases, texts)
        stage(name) { row in
            let expected = (cases[row][key]?.array ?? []).compactMap(\.integer).map { Int32($0) }
            return Array(tokenizer.encode(texts[row], limit: 200).prefix(200)) == expected
        }
    }

    /// Against whole rows, start, end and padding in place.
    mutating func rows(_ name: String, _ prefix: String, _ tokenizer: any Tokenizer) throws {
        for entry in ids.names where entry.hasPrefix(prefix + ".context") {
            let context = try ids.entry(entry).shape[1]
            let expected = try ids.integers(entry).map { Int32($0) }
            let texts = texts
            stage("\(name), context \(context)") { row in
                tokenizer.row(texts[row], contextLength: context)
                    == Array(expected[row * context..<(row + 1) * context])
            }
        }
    }
}
