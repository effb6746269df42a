import Foundation
import Support

/// BERT's tokenizer (Devlin et al. 2018, arXiv:1810.04805): cleaned text, words cut at spaces and punctuation, each
/// word the longest pieces of a vocabulary in turn. The same ids as transformers' BertTokenizer.
package struct WordPieceTokenizer: Tokenizer {
    package let digest: String
    /// Lower case, accents removed.
    package let isUncased: Bool
    /// By the pieces' bytes: Swift takes canonically equivalent texts for equal, vocabularies do not.
    private let ids: [[UInt8]: Int32]
    private let (unknown, start, end): (Int32, Int32, Int32)
    package let padding: Int32
    /// Texts that count as one token wherever they stand.
    private let special: [(text: [Unicode.Scalar], id: Int32)]
    private static let longestWord = 100

    /// - Parameter path: `vocab.txt`, a piece a line
    /// - Throws: `Failure(.badData)` when it lacks one of BERT's own tokens.
    package init(vocabulary path: String, isUncased: Bool = true) throws {
        let data = try readFile(path)
        digest = SHA256.hex(data)
        self.isUncased = isUncased
        var ids: [[UInt8]: Int32] = [:]
        for (index, line) in TextLines.bytes(of: data).enumerated() { ids[Array(line)] = Int32(index) }
        func id(_ piece: String) throws -> Int32 {
            guard let id = ids[Array(piece.utf8)] else {
                throw Failure(.badData, path, "has no \(piece): it is no vocabulary of a BERT model")
            }
            return id
        }
        (unknown, start, end) = (try id("[UNK]"), try id("[CLS]"), try id("[SEP]"))
        padding = try id("[PAD]")
        special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].compactMap { text in
            ids[Array(text.utf8)].map { (Array(text.unicodeScalars), $0) }
        }
        self.ids = ids
    }

    package var vocabularySize: Int { Int((ids.values.max() ?? -1) + 1) }

    package func encode(_ text: String, limit: Int) -> [Int32] {
        var found: [Int32] = []
        let scalars = Array(text.unicodeScalars)
        var begin = 0
        var index = 0
        while index < scalars.count, found.count < limit {
            if scalars[index] == "[", let match = special.first(where: { scalars[index...].starts(with: $0.text) }) {
                append(scalars[begin..<index], to: &found, limit)
                found.append(match.id)
                index += match.text.count
                begin = index
            } else {
                index += 1
            }
        }
        append(scalars[min(begin, index)..<index], to: &found, limit)
        return found
    }

    /// [CLS], the pieces cut to two less than the limit, [SEP].
    package func sequence(_ text: String, limit: Int) -> [Int32] {
        [start] + encode(text, limit: limit).prefix(max(0, limit - 2)) + [end]
    }

    /// The same, padded.
    package func ids(_ text: String, contextLength: Int) -> [Int32] { sequence(text, limit: contextLength) }

    private func append(_ part: ArraySlice<Unicode.Scalar>, to found: inout [Int32], _ limit: Int) {
        guard !part.isEmpty else { return }
        var word: [Unicode.Scalar] = []
        func close() {
            if !word.isEmpty { found += pieces(word) }
            word = []
        }
        for scalar in normalized(part) {
            guard found.count < limit else { return }
            if scalar.properties.isWhitespace {
                close()
            } else if Self.isPunctuation(scalar) {
                close()
                found += pieces([scalar])
            } else {
                word.append(scalar)
            }
        }
        close()
    }

    /// The longest piece that begins the word, then the longest that continues it; unknown when there is none.
    private func pieces(_ word: [Unicode.Scalar]) -> [Int32] {
        guard word.count <= Self.longestWord else { return [unknown] }
        func text(_ range: Range<Int>) -> [UInt8] { Array(String(scalars: word[range]).utf8) }
        if let whole = ids[text(0..<word.count)] { return [whole] }
        var found: [Int32] = []
        var begin = 0
        while begin < word.count {
            let prefix: [UInt8] = begin > 0 ? Array("##".utf8) : []
            let match = stride(from: word.count, to: begin, by: -1).lazy.compactMap { end in
                ids[prefix + text(begin..<end)].map { (end, $0) }
            }.first
            guard let (end, id) = match else { return [unknown] }
            found.append(id)
            begin = end
        }
        return found
    }

    private func normalized(_ part: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        var kept: [Unicode.Scalar] = []
        for scalar in part where scalar.value != 0 && scalar.value != 0xFFFD && !Self.isControl(scalar) {
            if scalar.properties.isWhitespace {
                kept.append(" ")
            } else if Self.isChinese(scalar) {
                kept += [" ", scalar, " "]
            } else {
                kept.append(scalar)
            }
        }
        guard isUncased else { return kept }
        guard !kept.allSatisfy(\.isASCII) else {
            return kept.map { (65...90).contains($0.value) ? Unicode.Scalar(point: $0.value + 32) : $0 }
        }
        return String(scalars: kept).decomposedStringWithCanonicalMapping.unicodeScalars.flatMap { scalar in
            scalar.properties.generalCategory == .nonspacingMark
                ? [] : Array(scalar.properties.lowercaseMapping.unicodeScalars)
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == "\t" || scalar == "\n" || scalar == "\r" { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .privateUse, .surrogate: return true
        default: return false
        }
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 33...47, 58...64, 91...96, 123...126: return true
        case ..<128: return false
        default: break
        }
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return true
        default: return false
        }
    }

    /// The ideographs that BERT takes for words of their own.
    private static func isChinese(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
