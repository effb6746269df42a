import CZlib
package import Foundation
import Synchronization

/// gzip streams through zlib: one or several members, then perhaps padding of zeros.
package enum Gzip {
    /// By the first two bytes (RFC 1952, 2.3.1).
    package static func isGzip(_ data: Data) -> Bool { data.starts(with: [0x1F, 0x8B]) }

    /// A file that inflates to more than this many times its size is taken for a bomb (zlib's own limit is 1,032).
    static let largestRatio = 200
    /// Up to here the ratio does not matter.
    static let freeSize = 64 << 20

    /// Inflates a file into memory.
    ///
    /// - Throws: `Failure(.badData)` when it is damaged, ends early, or would become larger than `limit` bytes.
    package static func inflate(_ file: InputFile, limit: Int = 1 << 30) throws -> Data {
        let stream = try GzipStream(file)
        var out = Data()
        while let part = try stream.next() {
            out.append(contentsOf: part)
            guard out.count <= limit else {
                throw Failure(.badData, file.path, "inflates to more than \(formatBytes(limit))")
            }
        }
        return out
    }

    /// A file's contents, inflated where they are compressed.
    package static func contents(of path: String, limit: Int = 1 << 30) throws -> Data {
        let file = try InputFile(path)
        guard isGzip(try file.read(0, min(2, file.length))) else { return try file.readAll() }
        return try inflate(file, limit: limit)
    }

    /// CRC-32 (zlib's), continued from what came before.
    package static func crc32(_ data: Data, from start: UInt32 = 0) -> UInt32 {
        data.withUnsafeBytes { crc32($0, from: start) }
    }

    /// CRC-32 (zlib's), continued from what came before.
    package static func crc32(_ bytes: UnsafeRawBufferPointer, from start: UInt32 = 0) -> UInt32 {
        var (sum, done) = (uLong(start), 0)
        while done < bytes.count {  // zlib counts in 32 bits
            let step = min(bytes.count - done, 1 << 30)
            sum = CZlib.crc32(sum, bytes.start.assumingMemoryBound(to: UInt8.self) + done, uInt(step))
            done += step
        }
        return UInt32(sum)
    }
}

/// A gzip file inflated from front to back, or from one of the places that an index keeps.
final class GzipStream {
    /// A place from which inflating can begin again (as in zlib's example zran).
    struct Entry: Sendable {
        /// In the inflated bytes.
        let offset: Int
        /// In the file.
        let input: Int
        /// Bits of the byte before `input` that belong to what follows.
        let bits: Int32
        /// The 32 kB before; nil at the start of a member.
        let window: Data?
    }

    private let file: InputFile
    private var stream = z_stream()
    /// Bytes of the file handed to zlib or passed over.
    private var fed: Int
    private var input: [UInt8] = []
    private var output = [UInt8](repeating: 0, count: 1 << 17)
    private var isRaw: Bool
    private var isAtEnd = false
    /// Bytes given so far, counted from the start of the inflated file.
    private(set) var offset: Int
    private var lastEntry = -1
    /// Bytes that stand behind the last member and are no padding.
    private(set) var trailing = 0

    init(_ file: InputFile, from entry: Entry? = nil) throws {
        self.file = file
        isRaw = entry?.window != nil
        fed = entry?.input ?? 0
        offset = entry?.offset ?? 0
        guard inflateInit2_(&stream, isRaw ? -15 : 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw Failure(.machine, file.path, "zlib could not start")
        }
        if let entry, let window = entry.window {
            if entry.bits > 0 {
                let byte = try file.read(entry.input - 1, 1)[0]
                inflatePrime(&stream, entry.bits, Int32(byte) >> (8 - entry.bits))
            }
            _ = window.withUnsafeBytes {
                inflateSetDictionary(&stream, $0.bindMemory(to: UInt8.self).baseAddress, uInt($0.count))
            }
        }
    }

    deinit { inflateEnd(&stream) }

    /// The next bytes; nil at the end.
    ///
    /// - Parameter keep: gets places to begin again from, one for each `spacing` bytes
    /// - Throws: `Failure(.badData)` for a damaged stream, one that ends early and one that inflates beyond reason
    func next(spacing: Int = .max, keep: (Entry) -> Void = { _ in }) throws -> ArraySlice<UInt8>? {
        while !isAtEnd {
            if stream.avail_in == 0 { try feed() }
            let (status, count) = step()
            if status == Z_STREAM_END {
                try endMember()
                if !isAtEnd, offset + count - lastEntry >= spacing {
                    keep(Entry(offset: offset + count, input: fed - Int(stream.avail_in), bits: 0, window: nil))
                    lastEntry = offset + count
                }
            } else if status == Z_BUF_ERROR, fed >= file.length, stream.avail_in == 0 {
                throw damaged("the gzip stream ends early")
            } else if status != Z_OK, status != Z_BUF_ERROR {
                throw damaged("damaged gzip stream")
            }
            offset += count
            if offset > Gzip.freeSize, offset / Gzip.largestRatio > file.length {
                throw Failure(
                    .badData, file.path, "inflates to over \(Gzip.largestRatio) times its size",
                    remedy: "Such a file is made to fill a memory; pack it anew without gzip if it is honest")
            }
            if status == Z_OK, stream.data_type & 128 != 0, stream.data_type & 64 == 0, offset - lastEntry >= spacing {
                keep(entry())
                lastEntry = offset
            }
            if count > 0 { return output[0..<count] }
        }
        return nil
    }

    private func damaged(_ problem: String) -> Failure {
        Failure(.badData, file.path, problem, remedy: "Fetch or make the file again")
    }

    private func feed() throws {
        let count = min(1 << 16, file.length - fed)
        guard count > 0 else { return }
        input = [UInt8](try file.read(fed, count))
        fed += count
        stream.avail_in = uInt(count)
    }

    /// One call of zlib, which stops at the borders of its blocks.
    private func step() -> (status: Int32, count: Int) {
        let held = Int(stream.avail_in)
        return input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress.map { $0 + (input.count - held) }
                stream.next_out = output.baseAddress
                stream.avail_out = uInt(output.count)
                let status = CZlib.inflate(&stream, Z_BLOCK)
                return (status, output.count - Int(stream.avail_out))
            }
        }
    }

    private func entry() -> Entry {
        var window = [UInt8](repeating: 0, count: 1 << 15)
        var count = uInt(window.count)
        inflateGetDictionary(&stream, &window, &count)
        return Entry(
            offset: offset, input: fed - Int(stream.avail_in), bits: stream.data_type & 7,
            window: Data(window[0..<Int(count)]))
    }

    /// What follows a member: another one, padding, or something that is none of it.
    private func endMember() throws {
        if isRaw {  // the sum and the length that a raw stream does not read
            var left = 8
            while left > 0 {
                if stream.avail_in == 0 { try feed() }
                guard stream.avail_in > 0 else { throw damaged("the gzip stream ends early") }
                let some = min(left, Int(stream.avail_in))
                stream.avail_in -= uInt(some)
                left -= some
            }
        }
        let start = fed - Int(stream.avail_in)
        let head = try file.read(start, min(2, file.length - start))
        if Gzip.isGzip(head) {
            inflateReset2(&stream, 31)
            isRaw = false
            return
        }
        isAtEnd = true
        var at = start
        while at < file.length {
            let part = try file.read(at, min(1 << 16, file.length - at))
            if let place = part.firstIndex(where: { $0 != 0 }) {
                let found = at + (place - part.startIndex)
                // Members with padding between them.
                if Gzip.isGzip(try file.read(found, min(2, file.length - found))) {
                    isAtEnd = false
                    isRaw = false
                    fed = found
                    stream.avail_in = 0
                    inflateReset2(&stream, 31)
                } else {
                    trailing = file.length - start
                }
                return
            }
            at += part.count
        }
    }
}

/// A gzip file read at places of its inflated bytes, of which only a little is ever in memory.
package final class GzipReader: Sendable {
    private let path: String
    private let identity: InputFile.Identity
    private let entries: [GzipStream.Entry]

    /// - Parameters:
    ///   - file: read from front to back once
    ///   - see: gets a function that reads at rising places, and may stop before the end; the rest is then only checked
    /// - Throws: as `GzipStream`, and what `see` throws
    package init(
        _ file: InputFile, see: (_ read: @escaping (_ offset: Int, _ count: Int) throws -> Data?) throws -> Void
    ) throws {
        (path, identity) = (file.path, file.identity)
        let stream = try GzipStream(file)
        var entries: [GzipStream.Entry] = []
        var spacing = 1 << 18
        let cursor = Cursor {
            try stream.next(spacing: spacing) { entry in
                entries.append(entry)
                guard entries.count == Self.mostEntries else { return }
                entries = entries.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
                spacing *= 2
            }
        }
        try see { try cursor.read($0, $1) }
        while try cursor.advance() {}
        self.entries = entries
        trailing = stream.trailing
    }

    /// Each holds 32 kB: 2 MB a file at the most.
    private static let mostEntries = 64

    /// Bytes behind the stream that are neither padding nor part of it.
    package let trailing: Int

    /// - Throws: `Failure(.io)` when the file can no longer be read, or is another one by now
    package func read(_ offset: Int, _ count: Int) throws -> Data {
        if let held = RecentParts.find(self, offset, count) { return held }
        var (low, high) = (0, entries.count)
        while low < high {  // the last entry at or before the offset
            let middle = (low + high) / 2
            if entries[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        let entry = low > 0 ? entries[low - 1] : nil
        let file = try InputFile(path)
        guard file.identity == identity else { throw Failure(.io, path, "has changed while it was in use") }
        let stream = try GzipStream(file, from: entry)
        let start = stream.offset
        let cursor = Cursor(at: start) { try stream.next() }
        // From the entry on: a sample's members stand together, and the next one asked for may be the one before.
        guard let part = try cursor.read(start, offset + count - start) else {
            throw Failure(.io, path, "the gzip stream ends before byte \(offset + count)")
        }
        RecentParts.keep(self, start, part)
        return part.suffix(count)
    }

    deinit { RecentParts.drop(self) }
}

/// The inflated parts that were read last, of all gzip files together.
private enum RecentParts {
    private struct Part {
        let reader: ObjectIdentifier
        let start: Int
        let data: Data
    }

    private static let most = 8
    private static let parts = Mutex<[Part]>([])

    static func find(_ reader: GzipReader, _ offset: Int, _ count: Int) -> Data? {
        let id = ObjectIdentifier(reader)
        return parts.withLock { parts in
            parts.first { $0.reader == id && $0.start <= offset && offset + count <= $0.start + $0.data.count }
                .map { $0.data.subdata(in: offset - $0.start..<offset - $0.start + count) }
        }
    }

    static func keep(_ reader: GzipReader, _ start: Int, _ data: Data) {
        parts.withLock { parts in
            parts.insert(Part(reader: ObjectIdentifier(reader), start: start, data: data), at: 0)
            if parts.count > most { parts.removeLast() }
        }
    }

    static func drop(_ reader: GzipReader) {
        let id = ObjectIdentifier(reader)
        parts.withLock { $0.removeAll { $0.reader == id } }
    }
}

/// Reads at rising places from a sequence of parts.
private final class Cursor {
    private let next: () throws -> ArraySlice<UInt8>?
    private var part: ArraySlice<UInt8> = []
    private var start: Int

    init(at start: Int = 0, _ next: @escaping () throws -> ArraySlice<UInt8>?) {
        self.start = start
        self.next = next
    }

    /// Goes to the next part.
    func advance() throws -> Bool {
        start += part.count
        part = []
        guard let more = try next() else { return false }
        part = more
        return true
    }

    /// nil when the parts end before.
    func read(_ offset: Int, _ count: Int) throws -> Data? {
        precondition(offset >= start, "a stream is read forwards")
        while offset > start + part.count || (offset == start + part.count && count > 0) {
            guard try advance() else { return nil }
        }
        part = part.dropFirst(offset - start)
        start = offset
        var data = Data(part.prefix(count))
        while data.count < count {
            guard try advance() else { return nil }
            data.append(contentsOf: part.prefix(count - data.count))
        }
        return data
    }
}
