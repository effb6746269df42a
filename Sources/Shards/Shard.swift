import Foundation
import Support
import Synchronization

/// The members of one WebDataset sample: same path up to the first dot of the base name.
public struct SampleEntry: Sendable {
    public let key: String
    /// By suffix, lower case.
    let members: [String: TarMember]
}

/// One WebDataset tar, plain or gzip, with its samples listed.
public final class Shard: Sendable {
    public let path: String
    public let samples: [SampleEntry]
    public let byteCount: Int
    private let isGzip: Bool
    private let inflated = Mutex<Data?>(nil)

    /// Reads the headers, not the contents (a gzip shard is inflated for it).
    ///
    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming file and byte.
    public init(_ path: String) throws {
        self.path = path
        let file = try ShardFile(path)
        byteCount = file.length
        isGzip = Gzip.isGzip(try file.read(0, min(2, file.length)))
        let members: [TarMember]
        if isGzip {
            let data = try Gzip.inflate(readFile(path), path: path)
            members = try TarReader.members(path: path, length: data.count) { data.subdata(in: $0..<$0 + $1) }
        } else {
            members = try TarReader.members(path: path, length: file.length, read: file.read)
        }
        samples = Self.group(members)
    }

    /// Consecutive members with the same key are one sample.
    private static func group(_ members: [TarMember]) -> [SampleEntry] {
        var samples: [SampleEntry] = []
        var key: String?
        var parts: [String: TarMember] = [:]
        func close() {
            if let key, !parts.isEmpty { samples.append(SampleEntry(key: key, members: parts)) }
            parts = [:]
        }
        for member in members {
            let slash = member.name.lastIndex(of: "/").map { member.name.index(after: $0) } ?? member.name.startIndex
            guard let dot = member.name[slash...].firstIndex(of: "."), dot > slash else { continue }
            let name = String(member.name[..<dot])
            if name != key { close() }
            key = name
            parts[member.name[member.name.index(after: dot)...].lowercased()] = member
        }
        close()
        return samples
    }

    /// - Throws: `Failure` when the file can no longer be read.
    func data(_ member: TarMember) throws -> Data {
        guard isGzip else { return try ShardFile(path).read(member.offset, member.size) }
        let whole = try inflated.withLock { held -> Data in
            if let held { return held }
            let data = try Gzip.inflate(readFile(path), path: path)
            held = data
            return data
        }
        return whole.subdata(in: member.offset..<member.offset + member.size)
    }

    /// The file's name without .tar or .tar.gz.
    public var name: String {
        let name = (path as NSString).lastPathComponent
        return name.range(of: ".t", options: .backwards).map { String(name[..<$0.lowerBound]) } ?? name
    }

    /// Writes some samples, in their order and byte for byte, as a plain shard.
    public func repack(_ kept: [Int], to path: String) throws {
        try AtomicFile.write(to: path) { file in
            let tar = TarWriter(file)
            for index in kept {
                let members = samples[index].members.values.sorted { $0.offset < $1.offset }
                for member in members { try tar.add(member.name, try data(member)) }
            }
            try tar.finish()
        }
        rest()
    }

    /// Lets go of an inflated gzip shard.
    public func rest() { inflated.withLock { $0 = nil } }
}

/// An open file, read at offsets.
private final class ShardFile {
    let path: String
    let length: Int
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw Failure(.inputMissing, path, "no such shard") }
            throw Failure.system("cannot open", path)
        }
        length = Int(lseek(descriptor, 0, SEEK_END))
        guard length >= 0 else {
            close(descriptor)
            throw Failure(.badData, path, "is no regular file", remedy: "Shards are read at random places")
        }
    }

    deinit { close(descriptor) }

    func read(_ offset: Int, _ count: Int) throws -> Data {
        var data = Data(count: count)
        let got = data.withUnsafeMutableBytes { buffer in
            var done = 0
            while done < count {
                let step = pread(descriptor, buffer.baseAddress! + done, count - done, off_t(offset + done))
                if step <= 0 { return done }
                done += step
            }
            return done
        }
        guard got == count else { throw Failure(.io, path, "the file ends before byte \(offset + count)") }
        return data
    }
}

/// Expands `shards-{0000..0012}.tar` and `{a,b}`; a folder stands for its .tar and .tar.gz files.
///
/// - Throws: `Failure(.inputMissing)` when a folder holds no shards, `Failure(.usage)` for a wrong range.
public func expandShards(_ pattern: String) throws -> [String] {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: pattern, isDirectory: &isFolder), isFolder.boolValue {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: pattern)) ?? []
        let shards = names.filter { $0.hasSuffix(".tar") || $0.hasSuffix(".tar.gz") || $0.hasSuffix(".tgz") }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard !shards.isEmpty else { throw Failure(.inputMissing, pattern, "holds no .tar or .tar.gz shards") }
        return shards.map { pattern + "/" + $0 }
    }
    guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else {
        return [pattern]
    }
    let inside = pattern[pattern.index(after: open)..<close]
    let rest = try expandShards(String(pattern[pattern.index(after: close)...]))
    let words: [String]
    if let dots = inside.range(of: "..") {
        let (low, high) = (inside[..<dots.lowerBound], inside[dots.upperBound...])
        guard let first = Int(low), let last = Int(high), first <= last else {
            throw Failure(.usage, pattern, "{\(inside)} is no range", remedy: "Write {0000..0012}")
        }
        words = (first...last).map { number in
            let digits = String(number)
            return String(repeating: "0", count: max(0, low.count - digits.count)) + digits
        }
    } else {
        words = inside.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return words.flatMap { word in rest.map { pattern[..<open] + word + $0 } }
}
