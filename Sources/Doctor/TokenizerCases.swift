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
        let ids = try Safetensors(path("tokenizers/ids.safetensors"))
        let clip = try BPETokenizer(vocabulary: clipVocabulary)
        var results: [StageResult] = []

        // Texts that ftfy changes are counted apart.
        func texts(_ stage: String, _ key: String, _ clean: (String) -> String) {
            for isMended in [false, true] {
                let some = cases.filter { ($0["ftfy"]?.isNull == false) == isMended }
                guard !some.isEmpty else { continue }
                let wrong = some.filter { clean($0["text"]?.string ?? "") != $0[key]?.string }
                let name = isMended ? stage + ", text that ftfy mends" : stage
                results.append(
                    outcome(name, wrong.map { "\"\($0["text"]?.string ?? "")\"" }, of: some.count, isMended: isMended))
            }
        }
        texts("cleaning, lower", "clean_lower") { TextCleaning.lower($0) }
        texts("cleaning, whitespace", "clean_whitespace") { TextCleaning.whitespace($0) }
        texts("cleaning, canonicalize", "clean_canonicalize") { TextCleaning.canonicalize($0) }

        func rows(_ stage: String, _ name: String, _ tokenizer: any Tokenizer) throws {
            for entry in ids.names where entry.hasPrefix(name + ".context") {
                let context = try ids.entry(entry).shape[1]
                let expected = try ids.integers(entry).map { Int32($0) }
                for isMended in [false, true] {
                    let some = cases.indices.filter { (cases[$0]["ftfy"]?.isNull == false) == isMended }
                    guard !some.isEmpty else { continue }
                    let wrong = some.filter { row in
                        tokenizer.row(cases[row]["text"]?.string ?? "", contextLength: context)
                            != Array(expected[row * context..<(row + 1) * context])
                    }
                    let title = "\(stage), context \(context)" + (isMended ? ", text that ftfy mends" : "")
                    results.append(
                        outcome(
                            title, wrong.map { "\"\(cases[$0]["text"]?.string ?? "")\"" }, of: some.count,
                            isMended: isMended))
                }
            }
        }
        try rows("CLIP byte-pair", "clip", clip)
        for (stage, name, file, padding) in [
            ("sentencepiece unigram", "siglip_unigram", "unigram", Int32(1)),
            ("sentencepiece BPE", "siglip_bpe", "bpe", 0),
        ] where FileManager.default.fileExists(atPath: path("tokenizers/\(file).model")) {
            try rows(stage, name, SentencePieceTokenizer(model: path("tokenizers/\(file).model"), padding: padding))
        }
        return results
    }

    private func outcome(_ stage: String, _ wrong: [String], of count: Int, isMended: Bool) -> StageResult {
        if wrong.isEmpty { return StageResult(stage, .passed) }
        let detail = "\(wrong.count) of \(count) differ, first \(wrong[0].prefix(60).debugDescription)"
        // ftfy's repairs are not built: said, not failed.
        return StageResult(
            stage, isMended ? .notRun(reason: "ftfy's repairs are not built yet; \(detail)") : .failed(cause: detail),
            absolute: Double(wrong.count))
    }
}
