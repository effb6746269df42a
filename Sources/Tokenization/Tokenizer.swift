import Foundation

/// Text to ids. Everything a model's text tower sees of a caption comes through here.
package protocol Tokenizer: Sendable {
    /// Identifies the vocabulary and the rules: SHA-256 of the vocabulary file, hexadecimal.
    var digest: String { get }
    var vocabularySize: Int { get }

    /// The ids of a text, without start, end and padding; at most `limit` of them need be right.
    func encode(_ text: String, limit: Int) -> [Int32]

    /// A text's ids as a model with this context length gets them, start and end in place, padding left out.
    func ids(_ text: String, contextLength: Int) -> [Int32]

    /// What stands after a text that is shorter than the context.
    var padding: Int32 { get }
}

extension Tokenizer {
    /// All ids of a text, without start, end and padding.
    package func encode(_ text: String) -> [Int32] { encode(text, limit: .max) }

    /// The ids with padding up to the context length.
    package func row(_ text: String, contextLength: Int) -> [Int32] {
        let ids = ids(text, contextLength: contextLength)
        return ids + [Int32](repeating: padding, count: max(0, contextLength - ids.count))
    }

    /// Whether the context length cuts the text.
    package func isCut(_ text: String, contextLength: Int) -> Bool {
        encode(text, limit: contextLength + 1).count > contextLength - markCount
    }

    /// Start and end tokens around a text.
    var markCount: Int { ids("", contextLength: 8).count }
}

/// How text is cleaned before it is cut into tokens.
package enum TextCleaning: String, Sendable, CaseIterable {
    /// References resolved, spaces collapsed, lower case: CLIP's.
    case lower
    /// The same without lower case.
    case whitespace
    /// The same, then punctuation deleted: SigLIP's.
    case canonicalize
    /// As it is.
    case none

    package func callAsFunction(_ text: String) -> String {
        switch self {
        case .lower: Clean.lower(Clean.whitespace(Clean.basic(text)))
        case .whitespace: Clean.whitespace(Clean.basic(text))
        case .canonicalize: Clean.canonicalize(Clean.basic(text))
        case .none: text
        }
    }
}
