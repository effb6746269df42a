import Foundation

/// Text to ids. Everything a model's text tower sees of a caption comes through here.
public protocol Tokenizer: Sendable {
    /// Identifies the vocabulary and the rules: SHA-256 of the vocabulary file, hexadecimal.
    var digest: String { get }
    var vocabularySize: Int { get }

    /// The ids of a text, without start, end and padding; at most `limit` of them need be right.
    func encode(_ text: String, limit: Int) -> [Int32]

    /// The ids as a model with this context length gets them: start, end and padding in place.
    func row(_ text: String, contextLength: Int) -> [Int32]
}

extension Tokenizer {
    /// All ids of a text, without start, end and padding.
    public func encode(_ text: String) -> [Int32] { encode(text, limit: .max) }

    /// Whether the context length cuts the text.
    public func isCut(_ text: String, contextLength: Int) -> Bool {
        encode(text, limit: contextLength + 1).count > contextLength - markCount
    }

    /// Start and end tokens around a text.
    var markCount: Int { row("", contextLength: 8).count { $0 != row("", contextLength: 8).last } + 1 }
}

/// How text is cleaned before it is cut into tokens.
public enum TextCleaning: String, Sendable, CaseIterable {
    /// References resolved, spaces collapsed, lower case: CLIP's.
    case lower
    /// The same without lower case.
    case whitespace
    /// The same, then punctuation deleted: SigLIP's.
    case canonicalize
    /// As it is.
    case none

    public func callAsFunction(_ text: String) -> String {
        switch self {
        case .lower: Clean.lower(Clean.whitespace(Clean.basic(text)))
        case .whitespace: Clean.whitespace(Clean.basic(text))
        case .canonicalize: Clean.canonicalize(Clean.basic(text))
        case .none: text
        }
    }
}
