import ArgumentParser
import Foundation
import Support

/// argument-parser folds every line of a help text at the terminal's width; an example is printed whole, so that it can be
/// copied.
enum HelpText {
    static func withWholeExamples(_ error: any Error, of command: (some ParsableCommand).Type) -> String {
        let folded = command.fullMessage(for: error)
        let whole = command.fullMessage(for: error, columns: 100_000)
        guard let from = examples(in: whole), let place = examples(in: folded) else { return folded }
        return folded.replacingCharacters(in: place, with: whole[from])
    }

    /// From "EXAMPLE" to the usage that follows.
    private static func examples(in text: String) -> Range<String.Index>? {
        guard let start = text.range(of: "\nEXAMPLE"),
            let end = text.range(of: "\nUSAGE:", range: start.upperBound..<text.endIndex)
        else { return nil }
        return start.lowerBound..<end.lowerBound
    }
}

/// Suggests a subcommand for a word that is none.
enum Subcommands {
    /// - Throws: `Failure(.usage)` for a first word that is no subcommand, down the tree
    static func check(_ arguments: [String]) throws {
        var level: any ParsableCommand.Type = DiptychMain.self
        var path = ""
        for word in arguments {
            let below = level.configuration.subcommands
            guard !below.isEmpty, !word.hasPrefix("-"), word != "help" else { return }
            let names = below.map { $0.configuration.commandName ?? $0._commandName }
            guard let found = names.firstIndex(of: word) else {
                let hint =
                    didYouMean(word, among: names).map { "Did you mean \($0)?" }
                    ?? "There are \(names.joined(separator: ", "))"
                throw Failure(.usage, path, "has no subcommand \"\(word)\"", remedy: hint)
            }
            level = below[found]
            path += (path.isEmpty ? "" : " ") + word
        }
    }
}
