import Foundation
import Support

/// What an input is made of: which changes are likely to get past a reader's first look.
enum Form {
    case bytes, text, tar, gzip, safetensors
    /// Files whose first bytes tell the format; PNG's chunks carry checksums.
    case image
}

/// One input out of a pool, by a stream of its own: the same stream and pool give the same input.
struct Mutator {
    private var random: RandomStream
    private let pool: [[UInt8]]
    /// How many of the pool are the corpus; the rest are changed already, and mostly refused.
    private let seeds: Int

    init(_ random: RandomStream, pool: [[UInt8]], seeds: Int) {
        (self.random, self.pool, self.seeds) = (random, pool, seeds)
    }

    mutating func input(_ form: Form) -> [UInt8] {
        var bytes = pick()
        switch form {
        case .bytes: change(&bytes)
        case .text: changeText(&bytes)
        case .tar: changeTar(&bytes)
        case .gzip: bytes = gzip(bytes)
        case .safetensors: bytes = safetensors(bytes)
        case .image:
            change(&bytes)
            if !rarely(4) { Mending.checksums(ofPNG: &bytes) }
        }
        return bytes
    }

    private mutating func below(_ bound: Int) -> Int { random.integer(below: max(1, bound)) }
    private mutating func rarely(_ times: Int) -> Bool { below(times) == 0 }
    private mutating func pick() -> [UInt8] {
        pool.isEmpty ? [] : pool[below(rarely(3) ? pool.count : seeds)]
    }

    /// A few changes; mostly one, seldom many.
    private mutating func several(_ change: (inout Mutator) -> Void) {
        repeat { change(&self) } while !rarely(2)
    }

    // MARK: Bytes

    private mutating func change(_ bytes: inout [UInt8]) {
        several { $0.changeOnce(&bytes) }
    }

    private mutating func changeOnce(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = (0...below(16)).map { _ in UInt8(below(256)) }
            return
        }
        let at = below(bytes.count)
        switch below(10) {
        case 0: bytes[at] ^= 1 << UInt8(below(8))
        case 1: bytes[at] = UInt8(below(256))
        case 2: bytes.removeLast(bytes.count - at)  // cut
        case 3: bytes.removeSubrange(at..<min(bytes.count, at + 1 + below(64)))
        case 4: repeatBlock(&bytes, at)
        case 5: splice(&bytes, at)
        case 6, 7: putNumber(&bytes, at)
        case 8: for place in at..<min(bytes.count, at + 1 + below(512)) { bytes[place] = 0 }
        default: bytes.insert(contentsOf: (0...below(8)).map { _ in UInt8(below(256)) }, at: at)
        }
    }

    private mutating func repeatBlock(_ bytes: inout [UInt8], _ at: Int) {
        let block = bytes[at..<min(bytes.count, at + 1 + below(256))]
        let times = rarely(8) ? 1 + below(100) : 1
        let copies = (0..<times).flatMap { _ in block }
        guard bytes.count + copies.count < Keeper.largestInput else { return }
        bytes.insert(contentsOf: copies, at: below(bytes.count))
    }

    /// The rest from another file.
    private mutating func splice(_ bytes: inout [UInt8], _ at: Int) {
        let other = pick()
        let from = below(other.count)
        bytes.replaceSubrange(at..., with: other.dropFirst(from))
    }

    /// A length, a size or an offset: little- or big-endian, of 2, 4 or 8 bytes.
    private mutating func putNumber(_ bytes: inout [UInt8], _ at: Int) {
        let size = [2, 4, 8][below(3)]
        let choices: [UInt64] = [
            0, 1, 2, 0x7F, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 40,
            .max >> 1, .max, UInt64(bytes.count), UInt64(below(4096)),
        ]
        let value = choices[below(choices.count)]
        let isBig = rarely(2)
        for index in 0..<size where at + index < bytes.count {
            bytes[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (isBig ? size - 1 - index : index)))
        }
    }

    // MARK: Text

    private static let numbers = [
        "0", "-1", "1", "-0", "2147483647", "2147483648", "-2147483649", "4294967296", "9223372036854775807",
        "9223372036854775808", "-9223372036854775808", "1e19", "-1e19", "1e308", "-1e308", "1e400", "1e-400", "0.5",
        "1e-7", "NaN", ".nan", ".inf", "Infinity", "-Infinity", "0x7fffffffffffffff", "99999999999999999999", "1_000",
        "131072", "1000000",
    ]
    private static let values = [
        "null", "true", "false", "[]", "{}", "\"\"", "\"x\"", "[[]]", "[1, 2]", "{\"a\": 1}", "~", "''", "&a *a", "*a",
        "../../x", "/dev/null", "\"\\u0000\"", "\"\\ud800\"", "|", ">", "- ", "? ", "!!int 3", "<<: *a", "%", "\t",
        "\"\u{301}",
        "\u{FEFF}", "\u{2028}", "\r", "\u{85}", "\0", "日本", "&amp;", "&#x110000;", "Ã©", "{0..9223372036854775807}",
        "{a,b}",
        "\u{FB01}", "İ", "\u{1F468}\u{200D}\u{1F469}", "\u{301}\u{302}\u{303}",
    ]

    private mutating func changeText(_ bytes: inout [UInt8]) {
        // Compressed tables and captions stand among the texts.
        if bytes.starts(with: [0x1F, 0x8B]) { return change(&bytes) }
        several { $0.changeTextOnce(&bytes) }
    }

    private mutating func changeTextOnce(_ bytes: inout [UInt8]) {
        switch below(10) {
        case 0, 1, 2: replaceNumber(&bytes)
        case 3, 4: replaceWord(&bytes)
        case 5: insertValue(&bytes)
        case 6, 7: moveLines(&bytes)
        case 8: if rarely(4) { nest(&bytes) } else { changeOnce(&bytes) }
        default: changeOnce(&bytes)
        }
    }

    /// The runs of bytes that a test holds for.
    private func runs(_ bytes: [UInt8], _ belongs: (UInt8) -> Bool) -> [Range<Int>] {
        var (found, start) = ([Range<Int>](), -1)
        for (index, byte) in bytes.enumerated() {
            if belongs(byte) {
                if start < 0 { start = index }
            } else if start >= 0 {
                found.append(start..<index)
                start = -1
            }
        }
        return start >= 0 ? found + [start..<bytes.count] : found
    }

    private mutating func replaceNumber(_ bytes: inout [UInt8]) {
        let places = runs(bytes) { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        guard !places.isEmpty else { return insertValue(&bytes) }
        let place = places[below(places.count)]
        let number = rarely(4) ? String(random.next() >> UInt64(below(64))) : Self.numbers[below(Self.numbers.count)]
        bytes.replaceSubrange(place, with: number.utf8)
    }

    private mutating func replaceWord(_ bytes: inout [UInt8]) {
        let ends = Set(" ,:{}[]\n\t".utf8)
        let places = runs(bytes) { !ends.contains($0) }
        guard !places.isEmpty else { return insertValue(&bytes) }
        let place = places[below(places.count)]
        if rarely(2) {
            bytes.replaceSubrange(place, with: Self.values[below(Self.values.count)].utf8)
        } else {  // a word that stands elsewhere, so that keys come twice and choices are swapped
            bytes.replaceSubrange(place, with: Array(bytes[places[below(places.count)]]))
        }
    }

    private mutating func insertValue(_ bytes: inout [UInt8]) {
        bytes.insert(contentsOf: Self.values[below(Self.values.count)].utf8, at: below(bytes.count + 1))
    }

    private mutating func moveLines(_ bytes: inout [UInt8]) {
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map(Array.init)
        let line = below(lines.count)
        switch below(4) {
        case 0: lines.remove(at: line)
        case 1: lines.insert(lines[line], at: below(lines.count))
        case 2: lines.swapAt(line, below(lines.count))
        default:
            let others = pick().split(separator: 0x0A).map(Array.init)
            if !others.isEmpty { lines.insert(others[below(others.count)], at: line) }
        }
        bytes = Array(lines.joined(separator: [0x0A]))
    }

    /// Many brackets, or one word repeated: what makes a reader go deep or long.
    private mutating func nest(_ bytes: inout [UInt8]) {
        let units = [
            "[", "{\"a\":", "- ", "{", "&amp;", "a", "é", "Ã©", " ", "\"", "? ", "!", "1", "\u{301}", "\n", "a ",
        ]
        let unit = Array(units[below(units.count)].utf8)
        let count = 1 << below(14)
        guard bytes.count + unit.count * count < Keeper.largestInput else { return }
        bytes.insert(contentsOf: (0..<count).flatMap { _ in unit }, at: below(bytes.count + 1))
    }

    // MARK: Containers

    private mutating func changeTar(_ bytes: inout [UInt8]) {
        several { mutator in
            let start = mutator.below(max(1, bytes.count / 512)) * 512
            switch mutator.below(4) {
            case 0 where start + 512 <= bytes.count: mutator.changeHeader(&bytes, start)
            case 1 where start + 512 <= bytes.count:  // whole blocks, as a lost or doubled write leaves them
                let block = Array(bytes[start..<start + 512])
                if mutator.rarely(2) {
                    bytes.removeSubrange(start..<start + 512)
                } else {
                    bytes.insert(contentsOf: block, at: start)
                }
            default: mutator.changeOnce(&bytes)
            }
        }
        if !rarely(4) { Mending.checksums(ofTar: &bytes) }
        if !rarely(3) { bytes += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512 + 1024) }
    }

    /// A field of a header: name, size, type, prefix.
    private mutating func changeHeader(_ bytes: inout [UInt8], _ start: Int) {
        switch below(5) {
        case 0: bytes[start + 156] = Array("0123456789xgLKSDV\0".utf8)[below(18)]
        case 1:
            let sizes = [
                "00000000000", "00000000001", "77777777777", "00000001000", "00000000777", "00000000400", "        7 8",
                "-0000000001",
            ]
            bytes.replaceSubrange(start + 124..<start + 135, with: sizes[below(sizes.count)].utf8)
        case 2:
            bytes[start + 124] = 0x80
            for place in 125..<136 { bytes[start + place] = rarely(4) ? UInt8(below(256)) : 0 }
        case 3: bytes[start + below(100)] = Array("./\0\n\\\u{7F}a".utf8)[below(7)]
        default: bytes[start + 345 + below(155)] = UInt8(below(256))
        }
    }

    /// In most cases what is inside of a sound stream is changed, else the compressed bytes.
    private mutating func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let isGzip = bytes.starts(with: [0x1F, 0x8B])
        if var tar = isGzip ? Mending.inside(stored: bytes) : bytes, !isGzip || !rarely(3) {
            changeTar(&tar)
            return Mending.gzip(stored: tar)
        }
        change(&bytes)
        return bytes
    }

    /// Header and data apart; the header's length is made right again in most cases.
    private mutating func safetensors(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count > 8, bytes[0] != UInt8(ascii: "{") else {
            var text = bytes
            changeText(&text)
            return text
        }
        let stated = Int(bytes[0]) | Int(bytes[1]) << 8
        guard stated <= bytes.count - 8, !rarely(6) else {
            var whole = bytes
            change(&whole)
            return whole
        }
        var (header, data) = (Array(bytes[8..<8 + stated]), Array(bytes[(8 + stated)...]))
        if rarely(3) { change(&data) } else { changeText(&header) }
        let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
        return length + header + data
    }
}

/// Sums and lengths made right again, so that a change is seen by more than the first test.
enum Mending {
    static func checksums(ofTar bytes: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count - 511, by: 512)
        where bytes[start + 257..<start + 262].elementsEqual("ustar".utf8) {
            bytes.replaceSubrange(start + 148..<start + 156, with: [UInt8](repeating: 0x20, count: 8))
            let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
            bytes.replaceSubrange(start + 148..<start + 156, with: Array((String(format: "%06o", sum) + "\0 ").utf8))
        }
    }

    static func checksums(ofPNG bytes: inout [UInt8]) {
        guard bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) else { return }
        var at = 8
        while at + 12 <= bytes.count {
            let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - at - 12 else { return }
            let end = at + 8 + length
            let sum = Gzip.crc32(Data(bytes[at + 4..<end]))
            for index in 0..<4 { bytes[end + index] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * index)) }
            at = end + 4
        }
    }

    private static let head: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]

    /// A gzip stream that compresses nothing.
    static func gzip(stored bytes: [UInt8]) -> [UInt8] {
        func little(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var out = head
        for start in stride(from: 0, to: max(1, bytes.count), by: 0xFFFF) {
            let part = bytes[start..<min(bytes.count, start + 0xFFFF)]
            let isLast: UInt8 = start + 0xFFFF >= bytes.count ? 1 : 0
            out += [isLast] + little(part.count, 2) + little(part.count ^ 0xFFFF, 2) + part
        }
        return out + little(Int(Gzip.crc32(Data(bytes))), 4) + little(bytes.count, 4)
    }

    /// What `gzip(stored:)` was given, where it is one block; nil for other streams.
    static func inside(stored bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= head.count + 13, bytes[head.count] == 1, bytes.starts(with: head.prefix(3)) else {
            return nil
        }
        let length = Int(bytes[head.count + 1]) | Int(bytes[head.count + 2]) << 8
        let start = head.count + 5
        return start + length + 8 == bytes.count ? Array(bytes[start..<start + length]) : nil
    }
}
