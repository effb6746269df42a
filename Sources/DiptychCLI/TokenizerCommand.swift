import ArgumentParser
import Foundation
import Shards
import Support
import Tokenization

struct TokenizerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenizer", abstract: "Make tokenizers.", subcommands: [TokenizerTrain.self])
}

struct TokenizerTrain: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train a sentencepiece model from captions.",
        discussion: """
            Input is a text file with one caption a line, or shards. Captions are canonicalised as SigLIP's first.

            EXAMPLES
              diptych tokenizer train --input scenes/train --vocab 512 --out Tokenizers/mine
              diptych tokenizer train --input captions.txt --vocab 8000 --out Tokenizers/mine
            """)

    @Option(help: "A text file, or shards.") var input: String
    @Option(help: "Number of pieces, at most.") var vocab: Int
    @Option(help: "The tokenizer folder.") var out: String

    func validate() throws {
        guard (16...1_000_000).contains(vocab) else { throw ValidationError("--vocab must be in 16...1000000.") }
    }

    func execute() throws {
        let existing = (try? Files.names(in: out)) ?? []
        guard existing.isEmpty || existing.contains("card.yaml") else {
            throw Failure(.usage, out, "exists and is no tokenizer folder", remedy: "Choose another --out")
        }
        let captions = try readCaptions()
        guard !captions.isEmpty else { throw Failure(.badData, input, "holds no captions") }
        try AtomicFile.writeFolder(out) { folder in
            let corpus = folder + "/corpus.txt"
            try AtomicFile.write(
                captions.flatMap { Self.parts(TextCleaning.canonicalize($0)) }.joined(separator: "\n") + "\n",
                to: corpus)
            try SentencePieceTokenizer.train(input: corpus, vocabularySize: vocab, prefix: folder + "/tokenizer")
            for name in ["corpus.txt", "tokenizer.vocab"] {
                try Files.remove(folder + "/" + name)
            }
            let model = try SentencePieceTokenizer(model: folder + "/tokenizer.model")
            let card = """
                about: sentencepiece unigram, \(model.vocabularySize) pieces, from \(captions.count) captions
                kind: sentencepiece
                file: tokenizer.model
                sha256: \(model.digest)
                cleaning: canonicalize
                end: 1
                padding: 1
                origin: diptych tokenizer train

                """
            try AtomicFile.write(card, to: folder + "/card.yaml")
        }
        try answer("tokenizer: \(out)")
    }

    /// Long texts cut at their blanks, which changes no word: the library's time grows with a line's square.
    private static func parts(_ text: String) -> [String] {
        guard text.utf8.count > longest else { return [text] }
        var parts: [String] = []
        var part = ""
        for word in text.unicodeScalars.split(separator: " ") {
            if part.utf8.count + word.count > longest {
                parts.append(part)
                part = ""
            }
            // A word without end is no word.
            part += (part.isEmpty ? "" : " ") + String(String.UnicodeScalarView(word.prefix(longest)))
        }
        return (parts + [part]).filter { !$0.isEmpty }
    }

    private static let longest = 2048

    private func readCaptions() throws -> [String] {
        if input.hasSuffix(".txt") {
            return try TextLines.read(input).filter { !$0.isEmpty }
        }
        var (captions, faults) = ([String](), FaultTally())
        for shard in try Shard.open(expandShards(input)) {
            let open = try shard.open()
            for index in 0..<shard.count {
                var key = "sample \(index)"
                do throws(SampleFault) {
                    let sample = try open.sample(index)
                    key = sample.key
                    captions += try sample.captions()
                } catch {
                    if case .shard(let failure) = error { throw failure }
                    faults.add(error.reason, example: "\(shard.path): \(key)")
                }
            }
        }
        if faults.total > 0 { say("left out: \(faults.summary)") }
        return captions
    }
}
