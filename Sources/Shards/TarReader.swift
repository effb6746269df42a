import Foundation
import Support

/// One file inside a tar.
struct TarMember: Sendable {
    /// Its bytes as `String(nameBytes:)`.
    let name: String
    let offset: Int
    let size: Int
}

/// Reads the headers of a tar: ustar, GNU's long names, pax, hard links to earlier members.
struct TarReader {
    private(set) var members: [TarMember] = []
    /// What was passed over, by kind.
    private(set) var passedOver: [String: Int] = [:]
    /// Where the two empty blocks that close it end.
    private(set) var end = 0

    private let path: String
    private let read: (Int, Int) throws -> Data?
    /// What a header before the member's own says of it.
    private var longName: [UInt8]?
    private var longLink: [UInt8]?
    private var longSize: Int?
    private var isSparse = false
    /// Where the latest member of a name stands, for links.
    private var places: [NameKey: Int] = [:]

    /// - Parameters:
    ///   - read: bytes at an offset, asked for at rising offsets; nil where the file ends before
    /// - Throws: `Failure(.badData)` naming file and byte when the tar is damaged or ends early.
    init(path: String, read: @escaping (Int, Int) throws -> Data?) throws {
        self.path = path
        self.read = read
        var offset = 0
        while true {
            guard let header = try read(offset, 512) else {
                throw bad(
                    offset == 0 ? "the file is too short for a tar" : "the tar ends early, at byte \(offset)")
            }
            if header.allSatisfy({ $0 == 0 }) {
                // One such block closes nothing: the file may have been cut behind it.
                guard let second = try read(offset + 512, 512) else {
                    throw bad("the tar ends early, in its closing zeros")
                }
                guard second.allSatisfy({ $0 == 0 }) else {
                    throw bad("a block of zeros in its middle, at byte \(offset)")
                }
                end = offset + 1024
                return
            }
            offset = try add(header, at: offset)
        }
    }

    private func bad(_ problem: String) -> Failure {
        let left = Set(members.map { NameKey(Shard.key(of: $0.name)?.key ?? "") }).count
        return Failure(
            .badData, path, problem + (left > 0 ? "; about \(left) samples stand before it" : ""),
            remedy: "Fetch or make the shard again")
    }

    /// - Returns: where the next header stands
    private mutating func add(_ header: Data, at offset: Int) throws -> Int {
        guard let written = Self.number(header, 124, 12), written >= 0, Self.hasValidChecksum(header) else {
            throw bad(offset == 0 ? "is no tar file" : "damaged tar header at byte \(offset)")
        }
        let type = header[header.startIndex + 156]
        let isFile = type == UInt8(ascii: "0") || type == 0 || type == UInt8(ascii: "7")
        let size = isFile ? longSize ?? written : written
        guard (0...1 << 60).contains(size) else { throw bad("damaged tar header at byte \(offset)") }
        let start = offset + 512
        let ownName = longName ?? Self.name(header)
        // Links and folders may state a size that is not there.
        let isEmpty = (UInt8(ascii: "1")...UInt8(ascii: "6")).contains(type)
        let (padded, overflow) = ((isEmpty ? 0 : size) / 512 * 512 + 1024).addingReportingOverflow(start)
        guard !overflow else { throw bad("damaged tar header at byte \(offset)") }
        let next = isEmpty || size % 512 == 0 ? padded - 1024 : padded - 512
        if !isEmpty, size > 0, ![UInt8(ascii: "L"), UInt8(ascii: "K"), UInt8(ascii: "x")].contains(type) {
            guard try read(next - 1, 1) != nil else {
                throw bad(
                    "the tar ends early: \(String(nameBytes: ownName).shownName) needs \(size) bytes at byte \(start)")
            }
        }
        switch type {
        case UInt8(ascii: "L"):
            longName = Array(try contents(start, size).prefix { $0 != 0 })
            return next
        case UInt8(ascii: "K"):
            longLink = Array(try contents(start, size).prefix { $0 != 0 })
            return next
        case UInt8(ascii: "x"):
            try readPax(try contents(start, size))
            return next
        case UInt8(ascii: "g"): return next
        case UInt8(ascii: "1"): link(ownName, to: longLink ?? Self.text(header, 157, 100))
        case _ where isFile && !isSparse:
            append(ownName, offset: start, size: size)
        case UInt8(ascii: "5"): break
        default: pass(type == UInt8(ascii: "2") ? "symbolic link" : isSparse ? "sparse file" : "special file")
        }
        (longName, longLink, longSize, isSparse) = (nil, nil, nil, false)
        return next
    }

    private mutating func pass(_ kind: String) { passedOver[kind, default: 0] += 1 }

    /// A file that stands twice in a tar holds its bytes once.
    private mutating func link(_ name: [UInt8], to target: [UInt8]) {
        guard let place = places[NameKey(String(nameBytes: target))] else { return pass("link to nothing") }
        append(name, offset: members[place].offset, size: members[place].size)
    }

    private mutating func append(_ name: [UInt8], offset: Int, size: Int) {
        let name = String(nameBytes: name)
        places[NameKey(name)] = members.count
        members.append(TarMember(name: name, offset: offset, size: size))
    }

    private func contents(_ start: Int, _ size: Int) throws -> Data {
        guard size <= 1 << 20 else { throw bad("a name of \(size) bytes at byte \(start)") }
        guard let data = try read(start, size) else {
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

    private static func name(_ header: Data) -> [UInt8] {
        let name = text(header, 0, 100)
        // GNU's old form uses the prefix for other things.
        let isUstar = text(header, 257, 6) == Array("ustar".utf8)
        let prefix = isUstar ? text(header, 345, 155) : []
        return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    private static func text(_ header: Data, _ start: Int, _ length: Int) -> [UInt8] {
        Array(header[header.startIndex + start..<header.startIndex + start + length].prefix { $0 != 0 })
    }

    /// Octal text, or big-endian binary when the first bit is set (large files).
    private static func number(_ header: Data, _ start: Int, _ length: Int) -> Int? {
        let bytes = header[header.startIndex + start..<header.startIndex + start + length]
        if let first = bytes.first, first & 0x80 != 0 {
            guard bytes.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { return nil }
            return Int(exactly: bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        let digits = bytes.drop { $0 == 0x20 }.prefix { (48...55).contains($0) }
        return digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }

    /// Old programs summed signed bytes.
    private static func hasValidChecksum(_ header: Data) -> Bool {
        let stated = number(header, 148, 8)
        var (sum, signed) = (8 * 32, 8 * 32)
        for (index, byte) in header.enumerated() where !(148..<156).contains(index) {
            sum += Int(byte)
            signed += Int(Int8(bitPattern: byte))
        }
        return stated == sum || stated == signed
    }
}
