import Foundation

/// Reads JSON from bytes in one pass, as Python's json does: NaN, Infinity and -Infinity are numbers, a lone surrogate is
/// U+FFFD, the last of equal keys counts. Text must be UTF-8.
struct JSONParser {
    struct Fault: Error {
        let problem: String
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private var at = 0
    private static let deepest = 512

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Where the reading has come to, counted from 1, columns in bytes.
    var place: (line: Int, column: Int) {
        let read = bytes[..<min(at, bytes.count)]
        let lines = read.count { $0 == 0x0A }
        return (lines + 1, at - (read.lastIndex(of: 0x0A) ?? -1))
    }

    mutating func document() throws(Fault) -> JSON {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw Fault(problem: "something follows the value") }
        return value
    }

    private var byte: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    private mutating func value(depth: Int) throws(Fault) -> JSON {
        guard depth < Self.deepest else { throw Fault(problem: "nested deeper than \(Self.deepest)") }
        skipSpace()
        switch byte {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "N"): return try word("NaN", .number(.nan))
        case UInt8(ascii: "I"): return try word("Infinity", .number(.infinity))
        case UInt8(ascii: "-") where at + 1 < bytes.count && bytes[at + 1] == UInt8(ascii: "I"):
            return try word("-Infinity", .number(-.infinity))
        case let sign? where sign == UInt8(ascii: "-") || sign &- 0x30 < 10: return try number()
        case nil: throw Fault(problem: "the text ends early")
        default: throw Fault(problem: "a value is expected")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(Fault) -> JSON {
        let count = word.utf8CodeUnitCount
        guard at + count <= bytes.count, memcmp(bytes.start + at, word.utf8Start, count) == 0 else {
            throw Fault(problem: "a value is expected")
        }
        at += count
        return value
    }

    private mutating func array(_ depth: Int) throws(Fault) -> JSON {
        var values: [JSON] = []
        at += 1
        skipSpace()
        if take("]") { return .array(values) }
        while true {
            values.append(try value(depth: depth + 1))
            skipSpace()
            if take("]") { return .array(values) }
            guard take(",") else { throw Fault(problem: "\",\" or \"]\" is expected") }
        }
    }

    private mutating func object(_ depth: Int) throws(Fault) -> JSON {
        var members: [String: JSON] = [:]
        at += 1
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard byte == UInt8(ascii: "\"") else { throw Fault(problem: "a key in quotes is expected") }
            let key = try string()
            skipSpace()
            guard take(":") else { throw Fault(problem: "\":\" is expected") }
            members[key] = try value(depth: depth + 1)
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw Fault(problem: "\",\" or \"}\" is expected") }
        }
    }

    private mutating func take(_ sign: Unicode.Scalar) -> Bool {
        guard byte == UInt8(ascii: sign) else { return false }
        at += 1
        return true
    }

    private mutating func number() throws(Fault) -> JSON {
        let start = at
        var isWhole = true
        var value = 0
        var overflows = false
        let isNegative = take("-")
        let first = at
        while let digit = byte, digit &- 0x30 < 10 {
            let (tens, carried) = value.multipliedReportingOverflow(by: 10)
            let (sum, carriedToo) = tens.addingReportingOverflow(Int(digit &- 0x30))
            overflows = overflows || carried || carriedToo
            value = sum
            at += 1
        }
        guard at > first, bytes[first] != 0x30 || at == first + 1 else { throw Fault(problem: "no number") }
        if take(".") {
            isWhole = false
            try digits()
        }
        if take("e") || take("E") {
            isWhole = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        if isWhole, !overflows { return .integer(isNegative ? -value : value) }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        guard let number = Double(text) else { throw Fault(problem: "no number") }
        return .number(number)
    }

    private mutating func digits() throws(Fault) {
        let first = at
        while let digit = byte, digit &- 0x30 < 10 { at += 1 }
        guard at > first else { throw Fault(problem: "no number") }
    }

    private mutating func string() throws(Fault) -> String {
        at += 1
        let start = at
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                let text = try text(UnsafeBufferPointer(rebasing: bytes[start..<at]))
                at += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            guard byte >= 0x20 else { throw Fault(problem: "a control character inside of a text") }
            at += 1
        }
        throw Fault(problem: "the text ends early")
    }

    private func text(_ bytes: some Collection<UInt8>) throws(Fault) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Fault(problem: "a text is no UTF-8") }
        return text
    }

    private mutating func escapedString(from start: Int) throws(Fault) -> String {
        var out = Array(bytes[start..<at])
        while let byte {
            at += 1
            if byte == UInt8(ascii: "\"") { return try text(out) }
            guard byte >= 0x20 else { throw Fault(problem: "a control character inside of a text") }
            if byte == UInt8(ascii: "\\") { try escape(into: &out) } else { out.append(byte) }
        }
        throw Fault(problem: "the text ends early")
    }

    private mutating func escape(into out: inout [UInt8]) throws(Fault) {
        guard let sign = byte else { throw Fault(problem: "the text ends early") }
        at += 1
        switch sign {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(sign)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "u"):
            var code = try unit()
            if code & 0xFC00 == 0xD800, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
                bytes[at + 1] == UInt8(ascii: "u")
            {
                let before = at
                at += 2
                let low = try unit()
                if low & 0xFC00 == 0xDC00 {
                    code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
                } else {
                    at = before
                }
            }
            out += String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8
        default: throw Fault(problem: "an unknown escape")
        }
    }

    private mutating func unit() throws(Fault) -> UInt32 {
        guard at + 4 <= bytes.count else { throw Fault(problem: "the text ends early") }
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[at])).hexDigitValue, bytes[at] < 0x80 else {
                throw Fault(problem: "\\u needs four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
            at += 1
        }
        return code
    }
}
