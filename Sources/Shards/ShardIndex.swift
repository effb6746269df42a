import Foundation
import Support
import Synchronization

/// The listings of the shards of one folder in one file in the cache, so that a set of any size is opened without reading
/// its headers again. A shard's listing is taken only while its size, time of change and number are as they were.
///
/// The file: 16 bytes of name, then 16 bytes a sample shard by shard (`SampleRecord`), then JSON, its length and its CRC-32
/// in 8 bytes each, little-endian.
package struct ShardIndex {
    package enum Making: Sendable {
        /// When listing took long enough to be worth it.
        case ofLargeSets
        /// Of what no index holds yet.
        case always
        /// Always; what an index says of these shards already is not taken.
        case anew
        case never
    }

    struct Entry: Sendable {
        let name: String
        let identity: InputFile.Identity
        /// Byte of its first record.
        let first: Int
        let count: Int
        let notes: [String]
        let keys: String
        let members: String
        let isGzip: Bool
    }

    /// Samples from which an index is made by itself.
    private static let largeSet = 20_000
    private static let name = Data("DIPTYCH INDEX 1\n".utf8)

    let path: String
    private let file: InputFile
    private let entries: [NameKey: Entry]

    /// Reads the headers of shards again and compares them with what an index says.
    ///
    /// - Returns: the shards that are no longer what was listed
    /// - Throws: what listing the first shard that fails throws
    package static func differing(_ shards: [Shard]) throws -> [String] {
        var listings = Listings(shards.map(\.path))
        while !listings.isDone { try listings.more() }
        return zip(shards, listings.found).filter { $0.keys != $1.keys || $0.members != $1.members }.map(\.0.path)
    }

    /// Where the index of a folder stands, whether it does or not.
    package static func path(of folder: String) -> String {
        let place = Files.canonical(folder.isEmpty ? "." : folder)
        return cacheFolder + "/index/" + SHA256.hex(Data(place.nameBytes)).prefix(32) + ".index"
    }

    /// nil where there is none, or it is none: it is then made anew.
    init?(of folder: String) {
        path = Self.path(of: folder)
        guard let file = try? InputFile(path), let entries = try? Self.entries(file) else { return nil }
        (self.file, self.entries) = (file, entries)
    }

    private static func entries(_ file: InputFile) throws -> [NameKey: Entry] {
        let damaged = Failure(.badData, file.path, "is no index")
        guard file.length >= name.count + 16, try file.read(0, name.count) == name else { throw damaged }
        let tail = try file.read(file.length - 16, 16).withUnsafeBytes { bytes in
            [0, 8].map { UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self)) }
        }
        let end = file.length - 16
        guard let length = Int(exactly: tail[0]), length <= end - name.count else { throw damaged }
        let text = try file.read(end - length, length)
        guard UInt64(Gzip.crc32(text, from: 0)) == tail[1] else { throw damaged }
        var found: [NameKey: Entry] = [:]
        for json in try JSON(parsing: text, path: file.path).array ?? [] {
            guard let entry = Entry(json), entry.first >= name.count,
                entry.first + entry.count * SampleRecord.size <= end - length
            else { throw damaged }
            found[NameKey(entry.name)] = entry
        }
        return found
    }

    private func entry(_ path: String) -> Entry? {
        guard let entry = entries[NameKey(Files.name(of: path))], let identity = try? InputFile.identity(of: path)
        else { return nil }
        return entry.identity == identity ? entry : nil
    }

    /// - Throws: what listing the first shard that fails throws
    static func shards(_ paths: [String], _ making: Making) throws -> [Shard] {
        var shards = [Shard?](repeating: nil, count: paths.count)
        let folders = Dictionary(grouping: paths.indices) { NameKey(Files.parent(of: paths[$0])) }
        for places in folders.values.sorted(by: { $0[0] < $1[0] }) {
            let found = try opened(places.map { paths[$0] }, in: Files.parent(of: paths[places[0]]), making)
            for (place, shard) in zip(places, found) { shards[place] = shard }
        }
        return shards.compactMap { $0 }
    }

    /// The shards of one folder.
    ///
    /// - Parameter isMade: the index was made just now
    private static func opened(_ paths: [String], in folder: String, _ making: Making, isMade: Bool = false) throws
        -> [Shard]
    {
        let old = making == .never ? nil : ShardIndex(of: folder)
        func known(_ path: String) -> Shard? {
            guard making != .anew || isMade, let old, let entry = old.entry(path) else { return nil }
            return Shard(path, entry, in: old.file)
        }
        let held = paths.map(known)
        let missing = zip(paths, held).filter { $0.1 == nil }.map(\.0)
        guard !missing.isEmpty else { return held.compactMap { $0 } }
        var listings = Listings(missing)
        let enough = isMade || making == .never ? Int.max : largeSet
        while !listings.isDone, listings.samples < enough { try listings.more() }
        if !isMade, making == .always || making == .anew || listings.samples >= enough {
            do {
                try write(&listings, over: old, to: path(of: folder))
                return try opened(paths, in: folder, making, isMade: true)
            } catch is WritingFailed {
                // A cache that cannot be written costs time at every start, and nothing else.
                guard making == .ofLargeSets else {
                    throw Failure(.io, path(of: folder), "the index cannot be written")
                }
                listings = Listings(missing)
                while !listings.isDone { try listings.more() }
            }
        }
        var fresh = zip(missing, listings.found).map { Shard($0, $1) }.makeIterator()
        return held.compactMap { $0 ?? fresh.next() }
    }

    private struct WritingFailed: Error {}

    private static func write(_ listings: inout Listings, over old: ShardIndex?, to path: String) throws {
        let new = Set(listings.paths.map { NameKey(Files.name(of: $0)) })
        var failure: Failure?
        do {
            try Files.makeFolder(Files.parent(of: path))
            try AtomicFile.write(to: path) { file in
                try file.write(contentsOf: name)
                var (offset, entries) = (name.count, [Entry]())
                func add(_ entry: Entry, _ records: Data) throws {
                    entries.append(entry.moved(to: offset))
                    try file.write(contentsOf: records)
                    offset += records.count
                }
                for entry in (old?.entries ?? [:]).values.sorted(by: { $0.first < $1.first })
                where !new.contains(NameKey(entry.name)) {
                    try add(entry, old?.file.read(entry.first, entry.count * SampleRecord.size) ?? Data())
                }
                repeat {
                    for (path, listing) in listings.taken() where listing.entries.isEmpty {
                        try add(Entry(Files.name(of: path), listing), listing.records)
                    }
                    do { try listings.more() } catch let caught as Failure {
                        failure = caught
                        throw caught
                    }
                } while listings.hasUntaken
                let text = Data(JSON.array(entries.map(\.json)).text().utf8)
                var tail = Data()
                for number in [UInt64(text.count), UInt64(Gzip.crc32(text, from: 0))] {
                    withUnsafeBytes(of: number.littleEndian) { tail.append(contentsOf: $0) }
                }
                try file.write(contentsOf: text + tail)
            }
        } catch {
            if let failure { throw failure }
            throw WritingFailed()
        }
    }
}

/// Shards that are listed some at a time, on all cores.
private struct Listings {
    let paths: [String]
    private(set) var found: [ShardListing] = []
    private var next = 0
    private var isTaken = 0
    private(set) var samples = 0

    init(_ paths: [String]) { self.paths = paths }

    var isDone: Bool { next == paths.count }
    var hasUntaken: Bool { isTaken < next }

    /// - Throws: what the first of them that fails throws
    mutating func more() throws {
        let part = next..<min(paths.count, next + 32)
        let results = Mutex([Int: Result<ShardListing, any Error>]())
        inParallel(part.count) { [paths] index in
            let result = Result { try ShardListing(paths[part.lowerBound + index]) }
            results.withLock { $0[index] = result }
        }
        for (_, result) in results.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            let listing = try result.get()
            samples += listing.count
            found.append(listing)
        }
        next = part.upperBound
    }

    /// Those that were listed since the last call; they are no longer held.
    mutating func taken() -> [(String, ShardListing)] {
        defer { (found, isTaken) = ([], next) }
        return Array(zip(paths[isTaken..<next], found))
    }
}

extension ShardIndex.Entry {
    init(_ name: String, _ listing: ShardListing) {
        (self.name, identity, first, count) = (name, listing.identity, 0, listing.count)
        (notes, keys, members, isGzip) = (listing.notes, listing.keys, listing.members, listing.isGzip)
    }

    func moved(to first: Int) -> ShardIndex.Entry {
        ShardIndex.Entry(
            name: name, identity: identity, first: first, count: count, notes: notes, keys: keys, members: members,
            isGzip: isGzip)
    }

    var json: JSON {
        [
            "name": .string(name), "stamp": .array(identity.numbers.map { .integer($0) }), "first": .integer(first),
            "count": .integer(count), "notes": .array(notes.map { .string($0) }), "keys": .string(keys),
            "members": .string(members), "gzip": .bool(isGzip),
        ]
    }

    init?(_ json: JSON) {
        guard let name = json["name"]?.string, let first = json["first"]?.integer, let count = json["count"]?.integer,
            let keys = json["keys"]?.string, let members = json["members"]?.string, first >= 0, (1...1 << 40) ~= count,
            let identity = InputFile.Identity((json["stamp"]?.array ?? []).compactMap(\.integer))
        else { return nil }
        (self.name, self.identity, self.first, self.count) = (name, identity, first, count)
        (self.keys, self.members) = (keys, members)
        notes = (json["notes"]?.array ?? []).compactMap(\.string)
        isGzip = json["gzip"]?.bool ?? false
    }
}
