import ArgumentParser
import Foundation
import Support
import Tokenization

struct TokenizeCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn lines of text into token ids.",
        discussion: """
            Reads standard input; prints one JSON array of ids per line, with start, end and padding as a model of
            that context length gets them.

            EXAMPLES
              echo "a photo of a cat" | diptych tokenize --tokenizer Tokenizers/clip-bpe
              diptych tokenize --tokenizer Tokenizers/scenes --context 24 < captions.txt
            """)

    @Option(help: "A tokenizer folder.") var tokenizer: String
    @Option(help: "Context length.") var context = 77
    @Flag(help: "Print JSON (the only form there is; accepted everywhere).") var json = false

    func validate() throws {
        guard (2...1 << 20).contains(context) else { throw ValidationError("--context must be in 2...1048576.") }
    }

    func execute() throws {
        let tokenizer = try TokenizerCard(tokenizer).load()
        var input = StandardInput()
        while let line = try input.next() {
            let ids = tokenizer.row(line, contextLength: context)
            try answer("[" + ids.map(String.init).joined(separator: ", ") + "]")
        }
    }
}
