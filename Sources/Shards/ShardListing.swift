import Foundation
import Support

/// The members of one WebDataset sample: same path up to the first dot of the base name.
struct SampleEntry: Sendable {
    let key: String
    /// By suffix, lower case.
    let members: [String: TarMember]
}

/// What the headers of a shard say: where each sample stands, and digests of the whole.
struct ShardListing: Sendable {
    let identity: InputFile.Identity
    /// 16 bytes a sample, see `SampleRecord`; empty where `entries` hold them.
    let records: Data
    /// The samples of a tar whose samples are no stretches of it: some of their members are links to others' bytes.
    let entries: [SampleEntry]
    let count: Int
    /// What a person should know of the file: members that belong to no sample, bytes behind its end.
    let notes: [String]
    /// SHA-256 of the samples' keys, a line each.
    let keys: String
    /// SHA-256 of the members' names, places and sizes.
    let members: String
    let isGzip: Bool

    /// Reads the headers, not the contents (a gzip shard is inflated for it, a piece at a time).
    ///
    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming file and byte.
    init(_ path: String) throws {
        let file: InputFile
        do { file = try InputFile(path) } catch let failure as Failure where failure.kind == .inputMissing {
            throw Failure(.inputMissing, path, "no such shard")
        }
        identity = file.identity
        guard file.length > 0 else {
            throw Failure(.badData, path, "the file is empty", remedy: "Fetch or make it again")
        }
        var groups = Groups(shard: Shard.name(of: path))
        var notes: [String] = []
        isGzip = Gzip.isGzip(try file.read(0, min(2, file.length)))
        if isGzip {
            let reader = try GzipReader(file) { read in
                _ = try groups.take(TarReader(path: path, TarBytes(stream: read)))
            }
            if reader.trailing > 0 { notes.append("\(reader.trailing) bytes behind the gzip stream are not read") }
        } else {
            let end = try groups.take(TarReader(path: path, TarBytes(file)))
            let tail = min(file.length - end, 1 << 16)
            if try file.read(end, tail).contains(where: { $0 != 0 }) {
                notes.append(
                    "\(file.length - end) bytes behind its end are not read: if tars were joined, join their contents")
            }
        }
        notes += groups.passedOver.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key) passed over" }
        if groups.strays > 0 { notes.append("\(groups.strays) members without a key and a suffix passed over") }
        guard groups.count > 0 else {
            throw Failure(
                .badData, path, "holds no samples", remedy: notes.isEmpty ? "" : notes.joined(separator: ", "))
        }
        self.notes = notes
        count = groups.count
        (records, entries) = groups.isRegular ? (groups.records, []) : (Data(), groups.entries)
        (keys, members) = groups.digests()
    }

    /// A member's key and suffix; nil where it has none.
    static func key(of name: String) -> (key: String, suffix: String)? {
        let utf8 = name.utf8
        let base = utf8.lastIndex(of: UInt8(ascii: "/")).map { utf8.index(after: $0) } ?? utf8.startIndex
        guard let dot = utf8[base...].firstIndex(of: UInt8(ascii: ".")), dot > base else { return nil }
        return (String(name[..<dot]), String(name[utf8.index(after: dot)...]).lowercased())
    }
}

/// Members as samples: consecutive ones with the same key are one; a suffix that comes again begins a new one.
private struct Groups {
    let shard: String
    private(set) var count = 0
    private(set) var strays = 0
    private(set) var passedOver: [String: Int] = [:]
    private(set) var records = Data()
    private(set) var entries: [SampleEntry] = []
    private(set) var isRegular = true
    private var keyHash = SHA256()
    private var memberHash = SHA256()

    init(shard: String) { self.shard = shard }

    /// - Returns: where the tar ends
    mutating func take(_ reader: TarReader) throws -> Int {
        var reader = reader
        var (parts, key, start): ([(suffix: String, member: TarMember)], String?, Int) = ([], nil, 0)
        while let member = try reader.next() {
            guard let (own, suffix) = ShardListing.key(of: member.name) else {
                strays += 1
                continue
            }
            if key.map({ !$0.isSameName(as: own) }) ?? true || parts.contains(where: { $0.suffix == suffix }) {
                if let key { close(key, parts, from: start, to: member.header) }
                (parts, key, start) = ([], own, member.header)
            }
            parts.append((suffix, member))
        }
        if let key { close(key, parts, from: start, to: parts.last.map { $0.member.offset + $0.member.size } ?? 0) }
        passedOver = reader.passedOver
        return reader.offset
    }

    private mutating func close(
        _ key: String, _ parts: [(suffix: String, member: TarMember)], from start: Int, to end: Int
    ) {
        if count > 0 { keyHash.update(Data([0x0A])) }
        keyHash.update(Data(key.utf8))
        for (suffix, member) in parts.sorted(by: { $0.suffix < $1.suffix }) {
            memberHash.update(Data("\(key)\0\(suffix)\0\(member.offset)\0\(member.size)\0".utf8))
        }
        count += 1
        let isInside = parts.allSatisfy { $0.member.offset >= start && $0.member.offset + $0.member.size <= end }
        if isRegular, isInside,
            let record = SampleRecord(start: start, end: end, id: SampleRecord.id(shard: shard, key: key))
        {
            records.append(record.bytes)
        } else {
            isRegular = false
        }
        entries.append(
            SampleEntry(
                key: key,
                members: Dictionary(parts.map { ($0.suffix, $0.member) }, uniquingKeysWith: { first, _ in first })))
    }

    mutating func digests() -> (keys: String, members: String) {
        (SHA256.hexadecimal(keyHash.finish()), SHA256.hexadecimal(memberHash.finish()))
    }
}

/// Where a sample stands in its tar, in 16 bytes: blocks of 512 bytes, and what it is called by in draws.
package struct SampleRecord: Sendable, Equatable {
    static let size = 16

    /// Of the first header, in bytes.
    let start: Int
    /// Bytes up to the last one of its last member, whole blocks.
    let length: Int
    /// The first 8 bytes of SHA-256 of "shard/key", big-endian: the same wherever the shard stands.
    let id: Int64

    /// nil where it does not fit: a tar of more than 2 TB.
    init?(start: Int, end: Int, id: Int64) {
        let blocks = (end - start + 511) / 512
        guard start % 512 == 0, start / 512 <= UInt32.max, blocks <= UInt32.max else { return nil }
        (self.start, length, self.id) = (start, blocks * 512, id)
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        start = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))) * 512
        length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))) * 512
        id = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
    }

    var bytes: Data {
        var data = Data(capacity: Self.size)
        withUnsafeBytes(of: UInt32(start / 512).littleEndian) { data.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt32(length / 512).littleEndian) { data.append(contentsOf: $0) }
        withUnsafeBytes(of: id.littleEndian) { data.append(contentsOf: $0) }
        return data
    }

    package static func id(shard: String, key: String) -> Int64 {
        var hash = SHA256()
        hash.update(Data((shard + "/" + key).utf8))
        return Int64(bitPattern: hash.finish().prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
