import Foundation
import Support

/// One file inside a tar.
struct TarMember: Sendable {
    let name: String
    let offset: Int
    let size: Int
}

/// Reads the headers of a tar: ustar, GNU long names, pax paths.
enum TarReader {
    /// - Parameters:
    ///   - length: bytes in all
    ///   - read: bytes at an offset
    /// - Throws: `Failure(.badData)` naming file and byte when the tar is damaged or ends early.
    static func members(path: String, length: Int, read: (Int, Int) throws -> Data) throws -> [TarMember] {
        var members: [TarMember] = []
        var offset = 0
        var longName: String?
        func bad(_ problem: String) -> Failure {
            Failure(.badData, path, problem, remedy: "Fetch or make the shard again")
        }
        while offset + 512 <= length {
            let header = try read(offset, 512)
            if header.allSatisfy({ $0 == 0 }) { return members }
            guard let size = number(header, 124, 12), size >= 0, hasValidChecksum(header) else {
                throw bad(offset == 0 ? "is no tar file" : "damaged tar header at byte \(offset)")
            }
            let start = offset + 512
            guard size <= length - start else {
                let name = longName ?? text(header, 0, 100)
                throw bad("the tar ends early: \(name) needs \(size) bytes at byte \(start), the file has \(length)")
            }
            switch header[header.startIndex + 156] {
            case UInt8(ascii: "L"): longName = String(decoding: try read(start, size).prefix { $0 != 0 }, as: UTF8.self)
            case UInt8(ascii: "x"): longName = paxPath(try read(start, size)) ?? longName
            case UInt8(ascii: "0"), 0:
                let prefix = text(header, 345, 155)
                let name = text(header, 0, 100)
                members.append(
                    TarMember(
                        name: longName ?? (prefix.isEmpty ? name : prefix + "/" + name), offset: start, size: size))
                longName = nil
            default: longName = nil
            }
            offset = start + (size + 511) / 512 * 512
        }
        // A tar without its closing zeros is complete when the last member is.
        guard offset >= length else { throw bad("the tar ends early, inside the header at byte \(offset)") }
        if length == 0 { throw bad("the file is empty") }
        return members
    }

    private static func text(_ header: Data, _ start: Int, _ length: Int) -> String {
        String(
            decoding: header[header.startIndex + start..<header.startIndex + start + length].prefix { $0 != 0 },
            as: UTF8.self)
    }

    /// Octal text, or big-endian binary when the first bit is set (large files).
    private static func number(_ header: Data, _ start: Int, _ length: Int) -> Int? {
        let bytes = header[header.startIndex + start..<header.startIndex + start + length]
        if bytes.first! & 0x80 != 0 { return bytes.dropFirst(4).reduce(0) { $0 << 8 | Int($1) } }
        let digits = bytes.filter { (48...55).contains($0) }
        return digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }

    private static func hasValidChecksum(_ header: Data) -> Bool {
        let sum = header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        return number(header, 148, 8) == sum
    }

    /// "27 path=some/name\n" records.
    private static func paxPath(_ data: Data) -> String? {
        String(decoding: data, as: UTF8.self).split(separator: "\n").lazy
            .compactMap { $0.split(separator: " ", maxSplits: 1).last }.first { $0.hasPrefix("path=") }
            .map { String($0.dropFirst(5)) }
    }
}
