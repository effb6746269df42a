import Support

/// UTF-8 that somebody read as a single-byte encoding ("cafÃ©"), recognised and read again.
enum Mojibake {
    /// Until a step changes nothing.
    static func mended(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var text = text
        while true {
            let next = step(text)
            if next == text { return text }
            text = next
        }
    }

    private static func step(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        guard text.contains(where: { !$0.isASCII }), Badness.isFound(in: text) else { return text }
        var isLatin1 = false
        for encoding in Encoding.all {
            guard let bytes = encoding.bytes(of: text) else { continue }
            if encoding.name == "latin-1" { isLatin1 = true }
            if let read = encoding.rereading(bytes) { return read }
        }
        let parts = embedded(in: text)
        if parts != text { return parts }
        // Characters of Latin-1 that Windows-1252 lacks are C1 controls, which nobody means.
        if isLatin1 {
            let unassigned: Set<UInt32> = [0x81, 0x8D, 0x8F, 0x90, 0x9D]
            if !text.contains(where: { unassigned.contains($0.value) }) {
                let read = text.map { isControl($0) ? windows(of: $0) : $0 }
                if read != text { return read }
            }
        }
        return text.map { isControl($0) ? windows(of: $0) : $0 }
    }

    static func isControl(_ scalar: Unicode.Scalar) -> Bool { (0x80...0x9F).contains(scalar.value) }

    /// A C1 control read as Windows-1252.
    static func windows(of scalar: Unicode.Scalar) -> Unicode.Scalar {
        Encoding.all[1].decoded[Int(scalar.value) - 0x80]
    }

    /// Stretches that look like UTF-8 within text that is otherwise right, mended by themselves.
    private static func embedded(in text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var out: [Unicode.Scalar] = []
        var index = 0
        while index < text.count {
            let end = Clues.end(of: text, from: index)
            guard end > index else {
                out.append(text[index])
                index += 1
                continue
            }
            let part = Array(text[index..<end])
            out += part.count < text.count && Badness.isFound(in: part) ? mended(part) : part
            index = end
        }
        return out
    }
}

/// A single-byte encoding.
private struct Encoding {
    let name: String
    /// What bytes 80 to FF stand for.
    let decoded: [Unicode.Scalar]
    private let encoded: [Unicode.Scalar: UInt8]
    private var isSloppy: Bool { name.hasPrefix("sloppy") }

    static let all: [Encoding] = TextRepairTables.encodings.split(separator: "\n").map { line in
        let words = line.split(separator: " ")
        return Encoding(
            name: String(words[0]), decoded: words.dropFirst().map { Unicode.Scalar(point: UInt32($0, radix: 16) ?? 0) }
        )
    }

    private init(name: String, decoded: [Unicode.Scalar]) {
        self.name = name
        self.decoded = decoded
        encoded = Dictionary(zip(decoded, UInt8(0x80)...UInt8(0xFF)), uniquingKeysWith: { $1 })
    }

    /// nil when a character has no byte. Sloppy encodings write the replacement character as 1A.
    func bytes(of text: [Unicode.Scalar]) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        for scalar in text {
            if isSloppy, scalar == "\u{FFFD}" {
                bytes.append(0x1A)
            } else if scalar.isASCII, !(isSloppy && scalar.value == 0x1A) {
                bytes.append(UInt8(scalar.value))
            } else if let byte = encoded[scalar] {
                bytes.append(byte)
            } else {
                return nil
            }
        }
        return bytes
    }

    /// The bytes as UTF-8, lost spaces and lost bytes made good; nil when they are none.
    func rereading(_ original: [UInt8]) -> [Unicode.Scalar]? {
        var bytes = original
        if name != "macroman", BytePatterns.altered.isFound(in: bytes) { bytes = withSpacesRestored(bytes) }
        if isSloppy { bytes = BytePatterns.lossy.replacing(in: bytes) { _ in [0xEF, 0xBF, 0xBD] } }
        return bytes.contains(0xED) || bytes.contains(0xC0) ? variant(bytes) : strict(bytes[...])
    }

    /// Spaces where a no-break space's byte A0 belongs. C3 and a space are a word of their own, "à", but before the
    /// endings of Portuguese contractions.
    private func withSpacesRestored(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0xC3, index + 1 < bytes.count, bytes[index + 1] == 0x20 {
                let rest = bytes[(index + 2)...]
                if ![" ", "quele", "quela", "quilo", "s "].contains(where: { rest.starts(with: $0.utf8) }) {
                    out += [0xC3, 0xA0, 0x20]
                    index += 2
                    continue
                }
            }
            out.append(bytes[index])
            index += 1
        }
        return BytePatterns.altered.replacing(in: out) { $0.map { $0 == 0x20 ? 0xA0 : $0 } }
    }

    private func strict(_ bytes: ArraySlice<UInt8>) -> [Unicode.Scalar]? {
        String(validating: bytes, as: UTF8.self).map { Array($0.unicodeScalars) }
    }

    /// UTF-8 with surrogate pairs of three bytes each (CESU-8) and Java's C0 80 for U+0000.
    private func variant(_ bytes: [UInt8]) -> [Unicode.Scalar]? {
        var out: [Unicode.Scalar] = []
        var start = 0
        func flush(_ end: Int) -> Bool {
            guard let part = strict(bytes[start..<end]) else { return false }
            out += part
            return true
        }
        var index = 0
        while index < bytes.count {
            let isNull = bytes[index] == 0xC0 && index + 1 < bytes.count && bytes[index + 1] == 0x80
            let isPair =
                index + 5 < bytes.count && bytes[index] == 0xED && (0xA0...0xAF).contains(bytes[index + 1])
                && (0x80...0xBF).contains(bytes[index + 2]) && bytes[index + 3] == 0xED
                && (0xB0...0xBF).contains(bytes[index + 4]) && (0x80...0xBF).contains(bytes[index + 5])
            guard isNull || isPair else {
                index += 1
                continue
            }
            guard flush(index) else { return nil }
            if isNull {
                out.append("\0")
            } else {
                let value = [1, 2, 4, 5].map { UInt32(bytes[index + $0]) }
                let point = (value[0] & 0x0F) << 16 + (value[1] & 0x3F) << 10 + (value[2] & 0x0F) << 6 + value[3] & 0x3F
                out.append(Unicode.Scalar(point: point + 0x10000))
            }
            index += isNull ? 2 : 6
            start = index
        }
        return flush(bytes.count) ? out : nil
    }
}

/// Alternatives of byte sequences, each a list of sets; the first that fits at a place is taken.
private struct BytePatterns {
    let alternatives: [[Set<UInt8>]]

    private static func set(_ ranges: ClosedRange<UInt8>...) -> Set<UInt8> { Set(ranges.joined()) }
    private static let space: Set<UInt8> = [0x20]
    private static let lost: Set<UInt8> = [0x1A, 0x3F]
    private static let any = set(0x80...0xBF)
    private static let unclear = any.union([0x1A])

    /// UTF-8 but for a space in the place of A0.
    static let altered: BytePatterns = {
        let most = set(0x80...0x84, 0x86...0x9F, 0xA1...0xBF)
        return BytePatterns(alternatives: [
            [[0xC2, 0xC3, 0xC5, 0xCE, 0xD0, 0xD9], space], [[0xE2, 0xE3], space, most],
            [set(0xE0...0xE3), most, space], [[0xF0], space, any, any], [[0xF0], any, space, any],
            [[0xF0], any, any, space],
        ])
    }()

    /// UTF-8 with lost bytes, 1A or in some places a question mark.
    static let lossy: BytePatterns = {
        let (high, low) = (set(0xA0...0xAF), set(0xB0...0xBF))
        let (three, four) = (set(0xE0...0xEF), set(0xF0...0xF4))
        let loose = any.union(lost)
        return BytePatterns(alternatives: [
            [set(0xC2...0xDF), [0x1A]], [[0xC2, 0xC3], [0x3F]], [[0xED], high, lost, [0xED], low, loose],
            [[0xED], high, loose, [0xED], low, lost], [three, lost, unclear], [three, unclear, lost],
            [four, lost, unclear, unclear], [four, unclear, lost, unclear], [four, unclear, unclear, lost], [[0x1A]],
        ])
    }()

    private func length(_ bytes: [UInt8], at index: Int) -> Int? {
        alternatives.first { pattern in
            index + pattern.count <= bytes.count
                && zip(pattern, bytes[index...]).allSatisfy { $0.contains($1) }
        }?.count
    }

    func isFound(in bytes: [UInt8]) -> Bool { bytes.indices.contains { length(bytes, at: $0) != nil } }

    func replacing(in bytes: [UInt8], _ replacement: (ArraySlice<UInt8>) -> [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if let length = length(bytes, at: index) {
                out += replacement(bytes[index..<index + length])
                index += length
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return out
    }
}

/// Code points by class, from a table of lines "name point point-point ...".
func classTable(_ table: String) -> [String: Set<UInt32>] {
    var classes: [String: Set<UInt32>] = [:]
    for line in table.split(separator: "\n") {
        let words = line.split(separator: " ")
        var points: Set<UInt32> = []
        for word in words.dropFirst() {
            let ends = word.split(separator: "-").compactMap { UInt32($0, radix: 16) }
            points.formUnion(ends[0]...ends[ends.count - 1])
        }
        classes[String(words[0])] = points
    }
    return classes
}

/// Characters that UTF-8's bytes become in single-byte encodings.
private enum Clues {
    private static let classes = classTable(TextRepairTables.clues)
    private static let leads = (2...4).map { classes["utf8_first_of_\($0)"] ?? [] }
    private static let continuation = classes["utf8_continuation"] ?? []
    private static let strict = classes["utf8_continuation_strict"] ?? []

    /// The end of the longest run of would-be UTF-8 sequences from here on; `start` itself when there is none.
    static func end(of text: [Unicode.Scalar], from start: Int) -> Int {
        if start > 0, strict.contains(text[start - 1].value) { return start }
        var end = start
        while end < text.count {
            let at = end
            let count = (1...3).first { more in
                leads[more - 1].contains(text[at].value) && at + more < text.count
                    && text[(at + 1)...(at + more)].allSatisfy { continuation.contains($0.value) }
            }
            guard let count else { break }
            end += count + 1
        }
        return end
    }
}
