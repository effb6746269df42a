import Foundation
import Support
import Synchronization

/// One WebDataset tar, plain or gzip, with its samples listed.
package final class Shard: Sendable {
    package let path: String
    /// Samples.
    package let count: Int
    package let byteCount: Int
    /// What a person should know of the file: members that belong to no sample, bytes behind its end.
    package let notes: [String]
    /// SHA-256 of the samples' keys, a line each.
    package let keys: String
    /// SHA-256 of the members' names, places and sizes.
    let members: String
    private let identity: InputFile.Identity
    private let places: Places
    private let isGzip: Bool
    /// Made when the first sample of a gzip shard is read.
    private let inflated = Mutex<GzipReader?>(nil)

    /// Where its samples stand.
    private enum Places: Sendable {
        case entries([SampleEntry])
        case records(Data)
        /// From this byte of an index file.
        case indexed(InputFile, Int)
    }

    /// Lists shards, or takes their listings from the indexes of their folders.
    ///
    /// - Parameter indexing: when an index is made of what had to be listed
    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming file and byte, of the first that fails
    package static func open(_ paths: [String], indexing: ShardIndex.Making = .ofLargeSets) throws -> [Shard] {
        try ShardIndex.shards(paths, indexing)
    }

    /// Lists one shard.
    ///
    /// - Throws: as `open`
    package convenience init(_ path: String) throws { self.init(path, try ShardListing(path)) }

    init(_ path: String, _ listing: ShardListing) {
        self.path = path
        (count, byteCount, identity) = (listing.count, listing.identity.length, listing.identity)
        (notes, keys, members, isGzip) = (listing.notes, listing.keys, listing.members, listing.isGzip)
        places = listing.entries.isEmpty ? .records(listing.records) : .entries(listing.entries)
    }

    init(_ path: String, _ entry: ShardIndex.Entry, in file: InputFile) {
        self.path = path
        (count, byteCount, identity) = (entry.count, entry.identity.length, entry.identity)
        (notes, keys, members, isGzip) = (entry.notes, entry.keys, entry.members, entry.isGzip)
        places = .indexed(file, entry.first)
    }

    /// The file's name without .tar, .tar.gz or .tgz.
    package var name: String { Self.name(of: path) }

    static func name(of path: String) -> String {
        let name = (path as NSString).lastPathComponent
        return name.range(of: ".t", options: .backwards).map { String(name[..<$0.lowerBound]) } ?? name
    }

    /// What samples are called by in draws, all of them in order.
    ///
    /// - Throws: `Failure(.io)` when the index can no longer be read
    package func ids() throws -> [Int64] {
        switch places {
        case .entries(let entries): return entries.map { SampleRecord.id(shard: name, key: $0.key) }
        case .records(let data): return Self.records(data).map(\.id)
        case .indexed(let file, let first):
            return Self.records(try file.read(first, count * SampleRecord.size)).map(\.id)
        }
    }

    private static func records(_ data: Data) -> [SampleRecord] {
        data.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count, by: SampleRecord.size).map {
                SampleRecord(UnsafeRawBufferPointer(rebasing: bytes[$0..<$0 + SampleRecord.size]))
            }
        }
    }

    /// nil where entries are held instead.
    fileprivate func record(_ index: Int) throws -> SampleRecord? {
        let offset = index * SampleRecord.size
        switch places {
        case .entries: return nil
        case .records(let data):
            let first = data.startIndex + offset
            return Self.records(data[first..<first + SampleRecord.size])[0]
        case .indexed(let file, let first): return Self.records(try file.read(first + offset, SampleRecord.size))[0]
        }
    }

    /// The file, opened once for several samples.
    ///
    /// - Throws: `Failure(.io)` when it can no longer be read, or is another one by now
    package func open() throws -> OpenShard {
        do {
            let file = try InputFile(path)
            guard file.identity == identity else {
                throw Failure(.io, path, "the shard has changed while it was in use", remedy: "Put it back as it was")
            }
            guard isGzip else { return OpenShard(shard: self, read: { try file.read($0, $1) }) }
            let reader = try inflated.withLock { held in
                let reader = try held ?? GzipReader(file) { _ in }
                held = reader
                return reader
            }
            return OpenShard(shard: self, read: { try reader.read($0, $1) })
        } catch let failure as Failure { throw gone(failure) }
    }

    fileprivate func gone(_ failure: Failure) -> Failure {
        guard failure.kind == .inputMissing || failure.kind == .badData else { return failure }
        return Failure(.io, path, "the shard can no longer be read: \(failure.problem)")
    }

    /// One sample, by opening the file for it.
    ///
    /// - Throws: `SampleFault.shard` when the shard can no longer be read
    package func sample(_ index: Int) throws(SampleFault) -> Sample {
        do { return try open().sample(index) } catch let fault as SampleFault { throw fault } catch {
            throw .shard(error as? Failure ?? Failure(.io, path, "cannot be read: \(error)"))
        }
    }

    fileprivate func heldEntry(_ index: Int) -> SampleEntry? {
        if case .entries(let entries) = places { entries[index] } else { nil }
    }

    /// The headers of a sample.
    fileprivate func entry(_ index: Int, at record: SampleRecord, _ read: @escaping (Int, Int) throws -> Data) throws
        -> SampleEntry
    {
        var reader = TarReader(
            path: path, TarBytes(part: read), from: record.start, until: record.start + record.length)
        var (key, members): (String?, [String: TarMember]) = (nil, [:])
        while let member = try reader.next() {
            guard let (own, suffix) = ShardListing.key(of: member.name) else { continue }
            key = key ?? own
            members[suffix] = member
        }
        guard let key, SampleRecord.id(shard: name, key: key) == record.id else {
            throw Failure(
                .io, path, "sample \(index) is not where the index says",
                remedy: "Make it again: diptych data index --rebuild")
        }
        return SampleEntry(key: key, members: members)
    }

    /// Writes some samples, in their order and byte for byte, as a plain shard.
    package func repack(_ kept: [Int], to path: String) throws {
        let open = try open()
        try AtomicFile.write(to: path) { file in
            let tar = TarWriter(file)
            for index in kept {
                let sample = try open.sample(index)
                for member in sample.members.values.sorted(by: { $0.offset < $1.offset }) {
                    try tar.add(member.name, try sample.read(member))
                }
            }
            try tar.finish()
        }
    }
}

/// A shard whose file is open; several threads may read it at once.
package struct OpenShard: Sendable {
    let shard: Shard
    /// Bytes of the tar.
    let read: @Sendable (_ offset: Int, _ count: Int) throws -> Data

    /// What is read with a sample's headers: its small members with them.
    private static let window = 1 << 16

    /// A sample with its headers read; its members' bytes are read when they are asked for.
    ///
    /// - Throws: `SampleFault.shard` when the shard can no longer be read
    package func sample(_ index: Int) throws(SampleFault) -> Sample {
        do {
            guard let record = try shard.record(index) else {
                guard let entry = shard.heldEntry(index) else { preconditionFailure("no sample \(index)") }
                return sample(entry, read)
            }
            let held = try read(record.start, min(record.length, Self.window))
            let bytes: @Sendable (Int, Int) throws -> Data = { [read] offset, count in
                let first = offset - record.start
                return first >= 0 && first + count <= held.count
                    ? held.subdata(in: held.startIndex + first..<held.startIndex + first + count)
                    : try read(offset, count)
            }
            return sample(try shard.entry(index, at: record, bytes), bytes)
        } catch {
            throw .shard((error as? Failure).map(shard.gone) ?? Failure(.io, shard.path, "cannot be read: \(error)"))
        }
    }

    private func sample(_ entry: SampleEntry, _ bytes: @escaping @Sendable (Int, Int) throws -> Data) -> Sample {
        Sample(key: entry.key, members: entry.members, path: shard.path) { [shard] member in
            do { return try bytes(member.offset, member.size) } catch let failure as Failure {
                throw shard.gone(failure)
            }
        }
    }
}
