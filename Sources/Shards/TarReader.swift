import Foundation
import Support

/// One file inside a tar.
struct TarMember: Sendable {
    /// Its bytes as `String(nameBytes:)`.
    let name: String
    /// Where its first header stands, one that only tells its name included.
    let header: Int
    let offset: Int
    let size: Int
}

/// Reads the headers of a tar, one member after the other: ustar, GNU's long names, pax, hard links to earlier members.
struct TarReader {
    /// What was passed over, by kind.
    private(set) var passedOver: [String: Int] = [:]
    /// Where the next header stands; at the end, behind the two empty blocks that close the tar.
    private(set) var offset: Int

    private let path: String
    private let bytes: TarBytes
    private let limit: Int?
    /// What a header before the member's own says of it.
    private var longName: [UInt8]?
    private var longLink: [UInt8]?
    private var longSize: Int?
    private var isSparse = false
    private var firstHeader: Int?
    /// The members so far, for links.
    private var members: [TarMember] = []

    /// - Parameters:
    ///   - start: of the first header
    ///   - limit: where to end; nil at the blocks that close the tar
    init(path: String, _ bytes: TarBytes, from start: Int = 0, until limit: Int? = nil) {
        (self.path, self.bytes, self.limit, offset) = (path, bytes, limit, start)
    }

    /// nil at the end.
    ///
    /// - Throws: `Failure(.badData)` naming file and byte when the tar is damaged or ends early
    mutating func next() throws -> TarMember? {
        while limit.map({ offset < $0 }) ?? true {
            guard let header = try bytes.read(offset, 512) else {
                throw bad(
                    offset == 0 ? "the file is too short for a tar" : "the tar ends early, at byte \(offset)")
            }
            if header.allSatisfy({ $0 == 0 }) {
                try close()
                return nil
            }
            if let member = try header.withUnsafeBytes({ try take($0, at: offset) }) {
                members.append(member)
                return member
            }
        }
        return nil
    }

    /// One empty block closes nothing: the file may have been cut behind it.
    private mutating func close() throws {
        guard let second = try bytes.read(offset + 512, 512) else {
            throw bad("the tar ends early, in its closing zeros")
        }
        guard second.allSatisfy({ $0 == 0 }) else { throw bad("a block of zeros in its middle, at byte \(offset)") }
        offset += 1024
    }

    private func bad(_ problem: String) -> Failure {
        let left = Set(members.map { NameKey(ShardListing.key(of: $0.name)?.key ?? "") }).count
        return Failure(
            .badData, path, problem + (left > 0 ? "; about \(left) samples stand before it" : ""),
            remedy: "Fetch or make the shard again")
    }

    /// Moves on behind a header and what belongs to it; nil where it is no file's.
    private mutating func take(_ header: UnsafeRawBufferPointer, at place: Int) throws -> TarMember? {
        guard let written = Self.number(header, 124, 12), written >= 0, Self.hasValidChecksum(header) else {
            throw bad(place == 0 ? "is no tar file" : "damaged tar header at byte \(place)")
        }
        let type = header[156]
        let isFile = type == UInt8(ascii: "0") || type == 0 || type == UInt8(ascii: "7")
        let size = isFile ? longSize ?? written : written
        guard (0...1 << 60).contains(size) else { throw bad("damaged tar header at byte \(place)") }
        let start = place + 512
        let ownName = longName ?? Self.name(header)
        // Links and folders may state a size that is not there.
        let isEmpty = (UInt8(ascii: "1")...UInt8(ascii: "6")).contains(type)
        let (next, overflow) = ((isEmpty ? 0 : size + 511) / 512 * 512).addingReportingOverflow(start)
        guard !overflow else { throw bad("damaged tar header at byte \(place)") }
        let isExtension = [UInt8(ascii: "L"), UInt8(ascii: "K"), UInt8(ascii: "x")].contains(type)
        if !isEmpty, size > 0, !isExtension {
            guard try bytes.reaches(next) else {
                throw bad(
                    "the tar ends early: \(String(nameBytes: ownName).shownName) needs \(size) bytes at byte \(start)")
            }
        }
        let first = firstHeader ?? place
        offset = next
        switch type {
        case UInt8(ascii: "L"): longName = Array(try contents(start, size).prefix { $0 != 0 })
        case UInt8(ascii: "K"): longLink = Array(try contents(start, size).prefix { $0 != 0 })
        case UInt8(ascii: "x"): try readPax(try contents(start, size))
        case UInt8(ascii: "g"): return nil
        default: break
        }
        guard !isExtension else {
            firstHeader = first
            return nil
        }
        defer { (longName, longLink, longSize, isSparse, firstHeader) = (nil, nil, nil, false, nil) }
        func member(_ offset: Int, _ size: Int) -> TarMember {
            TarMember(name: String(nameBytes: ownName), header: first, offset: offset, size: size)
        }
        switch type {
        case UInt8(ascii: "1"):
            // A file that stands twice in a tar holds its bytes once.
            let target = String(nameBytes: longLink ?? Self.text(header, 157, 100))
            if let held = members.last(where: { $0.name.isSameName(as: target) }) {
                return member(held.offset, held.size)
            }
            pass("link to nothing")
        case _ where isFile && !isSparse: return member(start, size)
        case UInt8(ascii: "5"): break
        default: pass(type == UInt8(ascii: "2") ? "symbolic link" : isSparse ? "sparse file" : "special file")
        }
        return nil
    }

    private mutating func pass(_ kind: String) { passedOver[kind, default: 0] += 1 }

    private func contents(_ start: Int, _ size: Int) throws -> Data {
        guard size <= 1 << 20 else { throw bad("a name of \(size) bytes at byte \(start)") }
        guard let data = try bytes.read(start, size) else {
            throw bad("the tar ends early, inside of a name at byte \(start)")
        }
        return data
    }

    /// Records of "27 path=some/name\n", the length counting itself.
    private mutating func readPax(_ data: Data) throws {
        var rest = data[...]
        while let space = rest.firstIndex(of: 0x20) {
            guard let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > 0, length <= rest.count,
                rest.startIndex + length > space + 1
            else { throw bad("damaged pax header") }
            let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
            rest = rest[(rest.startIndex + length)...]
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let value = record[(equals + 1)...]
            switch String(decoding: record[..<equals], as: UTF8.self) {
            case "path": longName = Array(value)
            case "linkpath": longLink = Array(value)
            case "size": longSize = Int(String(decoding: value, as: UTF8.self))
            case let key where key.hasPrefix("GNU.sparse"): isSparse = true
            default: break
            }
        }
    }

    private static func name(_ header: UnsafeRawBufferPointer) -> [UInt8] {
        let name = text(header, 0, 100)
        // GNU's old form uses the prefix for other things.
        guard header[257..<262].elementsEqual("ustar".utf8), header[262] == 0, header[345] != 0 else { return name }
        return text(header, 345, 155) + [UInt8(ascii: "/")] + name
    }

    private static func text(_ header: UnsafeRawBufferPointer, _ start: Int, _ length: Int) -> [UInt8] {
        Array(header[start..<start + length].prefix { $0 != 0 })
    }

    /// Octal text, or big-endian binary when the first bit is set (large files).
    private static func number(_ header: UnsafeRawBufferPointer, _ start: Int, _ length: Int) -> Int? {
        let bytes = header[start..<start + length]
        if header[start] & 0x80 != 0 {
            guard bytes.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { return nil }
            return Int(exactly: bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        var (place, value) = (start, 0)
        while place < start + length, header[place] == 0x20 { place += 1 }
        let first = place
        while place < start + length, (48...55).contains(header[place]) {
            value = value << 3 | Int(header[place] - 48)
            place += 1
        }
        return place == first ? nil : value
    }

    /// Old programs summed signed bytes.
    private static func hasValidChecksum(_ header: UnsafeRawBufferPointer) -> Bool {
        let stated = number(header, 148, 8)
        var (sum, high) = (8 * 32, 0)
        for index in 0..<512 where index < 148 || index >= 156 {
            sum += Int(header[index])
            high += Int(header[index] >> 7)
        }
        return stated == sum || stated == sum - 256 * high
    }
}

/// What a tar is read from.
struct TarBytes {
    /// Bytes at an offset, asked for at rising offsets; nil where the file ends before.
    let read: (_ offset: Int, _ count: Int) throws -> Data?
    /// Whether there are so many bytes.
    let reaches: (_ end: Int) throws -> Bool

    /// A plain file, in windows: headers of small members come many at a time.
    init(_ file: InputFile, window size: Int = 8192) {
        var (window, start) = (Data(), 0)
        read = { offset, count in
            guard offset <= file.length - count else { return nil }
            if offset < start || offset + count > start + window.count {
                (window, start) = (try file.read(offset, min(max(size, count), file.length - offset)), offset)
            }
            let first = window.startIndex + offset - start
            return window[first..<first + count]
        }
        reaches = { $0 <= file.length }
    }

    /// A stream that is read forwards.
    init(stream: @escaping (Int, Int) throws -> Data?) {
        read = stream
        reaches = { try stream($0 - 1, 1) != nil }
    }

    /// A part of a file that is known to be there.
    init(part: @escaping (Int, Int) throws -> Data) {
        read = part
        reaches = { _ in true }
    }
}
