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
        let cases = try JSON(file: path("tokenizers/cases.json")).array ?? []
        let texts = cases.map { $0["text"]?.string ?? "" }
        let ids = try Safetensors(path("tokenizers/ids.safetensors"))
        var results: [StageResult] = []

        func stage(_ name: String, _ isRight: (Int) -> Bool) {
            let wrong = cases.indices.filter { !isRight($0) }
            let outcome: StageResult.Outcome =
                wrong.isEmpty
                ? .passed
                : .failed(cause: "\(wrong.count) of \(cases.count) differ, first \(texts[wrong[0]].debugDescription)")
            results.append(StageResult(name, outcome, absolute: Double(wrong.count)))
        }
        /// Against the listed strings, compared by code point.
        func cleaning(_ name: String, _ key: String, _ clean: (String) -> String) {
            guard cases.contains(where: { $0[key] != nil }) else { return }
            stage(name) { row in
                let expected = cases[row][key] ?? .null
                // ftfy: null where it changes nothing
                let text = expected.isNull ? texts[row] : expected.string ?? ""
                return clean(texts[row]).unicodeScalars.elementsEqual(text.unicodeScalars)
            }
        }
        cleaning("mending (ftfy)", "ftfy", TextRepair.mended)
        cleaning("cleaning, lower", "clean_lower") { TextCleaning.lower($0) }
        cleaning("cleaning, whitespace", "clean_whitespace") { TextCleaning.whitespace($0) }
        cleaning("cleaning, canonicalize", "clean_canonicalize") { TextCleaning.canonicalize($0) }
        cleaning("canonical text alone", "canonicalize_text_only", Clean.canonicalize)

        /// Against the listed ids, of which there are 200 at most.
        func listed(_ name: String, _ key: String, _ tokenizer: any Tokenizer) {
            guard cases.contains(where: { $0[key] != nil }) else { return }
            stage(name) { row in
                let expected = (cases[row][key]?.array ?? []).compactMap(\.integer).map { Int32($0) }
                return Array(tokenizer.encode(texts[row], limit: 200).prefix(200)) == expected
            }
        }
        func rows(
            _ name: String, _ prefix: String, _ tokenizer: any Tokenizer, where isAsked: (Int) -> Bool = { _ in true }
        )
            throws
        {
            for entry in ids.names where entry.hasPrefix(prefix + ".context") {
                let context = try ids.entry(entry).shape[1]
                let expected = try ids.integers(entry).map { Int32($0) }
                stage("\(name), context \(context)") { row in
                    !isAsked(row)
                        || tokenizer.row(texts[row], contextLength: context)
                            == Array(expected[row * context..<(row + 1) * context])
                }
            }
        }
        for (name, key, cleaning) in [
            ("CLIP byte-pair", "clip_ids", TextCleaning.lower),
            ("CLIP byte-pair, case kept", "clip_keep_case_ids", .whitespace),
            ("CLIP byte-pair, canonical text", "clip_canonical_ids", .canonicalize),
        ] { listed(name, key, try BPETokenizer(vocabulary: clipVocabulary, cleaning: cleaning)) }
        try rows("CLIP byte-pair", "clip", BPETokenizer(vocabulary: clipVocabulary))
        for (kind, padding) in [("unigram", Int32(1)), ("bpe", 0)] {
            let model = path("tokenizers/\(kind).model")
            guard Files.exists(model) else { continue }
            func tokenizer(_ cleaning: TextCleaning) throws -> SentencePieceTokenizer {
                try SentencePieceTokenizer(model: model, cleaning: cleaning, padding: padding)
            }
            listed("sentencepiece \(kind), raw text", "\(kind)_ids", try tokenizer(.none))
            listed("sentencepiece \(kind)", "\(kind)_canonical_ids", try tokenizer(.canonicalize))
            try rows("sentencepiece \(kind)", "siglip_\(kind)", tokenizer(.canonicalize))
            try rows("T5 \(kind)", "t5_\(kind)", tokenizer(.canonicalize))
        }
        return results
    }
}
