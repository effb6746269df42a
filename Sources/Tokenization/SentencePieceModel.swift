import Foundation
import Support

/// What must hold of a sentencepiece file before the library sees it: Debian's 0.1.97 reads outside of its memory when a
/// piece is enormous or a table of characters points outside of itself (google/sentencepiece issues 1263 and 1269).
enum SentencePieceModel {
    private static let longestPiece = 1024
    private static let mostPieces = 4_000_000

    /// - Throws: `Failure(.badData)` saying what is wrong
    static func check(_ data: Data, path: String) throws {
        func bad(_ problem: String) -> Failure {
            Failure(.badData, path, "is no sound sentencepiece model: \(problem)", remedy: "Fetch the file again")
        }
        var pieces = 0
        for field in try fields(of: data, bad) {
            switch (field.number, field.value) {
            case (1, .bytes(let piece)):
                pieces += 1
                for part in try fields(of: piece, bad) {
                    switch (part.number, part.value) {
                    case (1, .bytes(let text)):
                        guard (1...longestPiece).contains(text.count) else {
                            throw bad("piece \(pieces - 1) has \(text.count) bytes")
                        }
                        guard String(validating: text, as: UTF8.self) != nil, !text.contains(0) else {
                            throw bad("piece \(pieces - 1) is no UTF-8")
                        }
                    case (2, .fixed32(let bits)):
                        guard Float(bitPattern: bits).isFinite else { throw bad("the score of piece \(pieces - 1)") }
                    default: break
                    }
                }
            case (3, .bytes(let normalizer)), (5, .bytes(let normalizer)):
                for part in try fields(of: normalizer, bad) {
                    if case (2, .bytes(let table)) = (part.number, part.value) { try checkTable(table, bad) }
                }
            default: break
            }
        }
        guard (1...mostPieces).contains(pieces) else { throw bad("it has \(pieces) pieces") }
    }

    private enum Value {
        case varint(UInt64)
        case fixed32(UInt32)
        case fixed64
        case bytes(Data)
    }

    /// The fields of a protobuf message.
    private static func fields(of data: Data, _ bad: (String) -> Failure) throws -> [(number: Int, value: Value)] {
        var found: [(Int, Value)] = []
        var rest = data[...]
        func varint() throws -> UInt64 {
            var value: UInt64 = 0
            for shift in stride(from: 0, to: 64, by: 7) {
                guard let byte = rest.popFirst() else { break }
                value |= UInt64(byte & 0x7F) << UInt64(shift)
                if byte < 0x80 { return value }
            }
            throw bad("the file ends early or is damaged")
        }
        func take(_ count: UInt64) throws -> Data {
            guard count <= UInt64(rest.count) else { throw bad("the file ends early or is damaged") }
            defer { rest = rest.dropFirst(Int(count)) }
            return rest.prefix(Int(count))
        }
        while !rest.isEmpty {
            let key = try varint()
            guard key >> 3 > 0, key >> 3 < 1 << 29 else { throw bad("a field without a number") }
            switch key & 7 {
            case 0: found.append((Int(key >> 3), .varint(try varint())))
            case 1:
                _ = try take(8)
                found.append((Int(key >> 3), .fixed64))
            case 2: found.append((Int(key >> 3), .bytes(try take(varint()))))
            case 5:
                let bits = try take(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                found.append((Int(key >> 3), .fixed32(bits)))
            default: throw bad("a field of an unknown kind")
            }
        }
        return found
    }

    /// A precompiled table of characters: the size of a double-array trie, the trie, and texts that end with zeros. Every
    /// step that a text can take from a node that can be reached must stay inside.
    private static func checkTable(_ table: Data, _ bad: (String) -> Failure) throws {
        guard !table.isEmpty else { return }
        let bytes = Array(table)
        guard bytes.count > 4 else { throw bad("its table of characters is cut") }
        func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) } }
        let size = Int(word(0))
        guard size >= 1024, size % 4 == 0, size < bytes.count - 4 else {
            throw bad("its table of characters has an impossible size")
        }
        let units = (0..<size / 4).map { word(4 + 4 * $0) }
        let texts = bytes[(4 + size)...]
        guard texts.last == 0 else { throw bad("the texts of its table of characters are cut") }
        var isSeen = [Bool](repeating: false, count: units.count)
        var waiting = [0]
        while let node = waiting.popLast() {
            guard !isSeen[node] else { continue }
            isSeen[node] = true
            let unit = units[node]
            let offset = Int((unit >> 10) << ((unit & (1 << 9)) >> 6))
            let base = node ^ offset
            guard base | 0xFF < units.count else { throw bad("its table of characters points outside of itself") }
            if unit >> 8 & 1 == 1 {  // a text belongs to it
                guard Int(units[base] & 0x7FFF_FFFF) < texts.count else {
                    throw bad("its table of characters names a text that is not there")
                }
            }
            for label in 0...255 where units[base ^ label] & (1 << 31 | 0xFF) == UInt32(label) {
                waiting.append(base ^ label)
            }
        }
    }
}
