import Foundation
import Support

/// The members of one WebDataset sample: same path up to the first dot of the base name.
package struct SampleEntry: Sendable {
    package let key: String
    /// By suffix, lower case.
    let members: [String: TarMember]

    /// Its members' suffixes, to say what it lacks.
    var suffixes: String { members.keys.sorted().joined(separator: ", ") }
}

/// One WebDataset tar, plain or gzip, with its samples listed.
package final class Shard: Sendable {
    package let path: String
    package let samples: [SampleEntry]
    package let byteCount: Int
    /// What a person should know of the file: members that belong to no sample, bytes behind its end.
    package let notes: [String]
    private let identity: InputFile.Identity
    /// nil for a plain tar.
    private let inflated: GzipReader?

    /// Reads the headers, not the contents (a gzip shard is inflated for it, a piece at a time).
    ///
    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming file and byte.
    package init(_ path: String) throws {
        self.path = path
        let file: InputFile
        do { file = try InputFile(path) } catch let failure as Failure where failure.kind == .inputMissing {
            throw Failure(.inputMissing, path, "no such shard")
        }
        (byteCount, identity) = (file.length, file.identity)
        guard byteCount > 0 else {
            throw Failure(.badData, path, "the file is empty", remedy: "Fetch or make it again")
        }
        var notes: [String] = []
        let tar: TarReader
        if Gzip.isGzip(try file.read(0, min(2, file.length))) {
            var found: TarReader?
            let reader = try GzipReader(file) { read in found = try TarReader(path: path, read: read) }
            guard let found else { preconditionFailure("a gzip file was not looked at") }
            if reader.trailing > 0 { notes.append("\(reader.trailing) bytes behind the gzip stream are not read") }
            (tar, inflated) = (found, reader)
        } else {
            tar = try TarReader(path: path) { offset, count in
                offset <= file.length - count ? try file.read(offset, count) : nil
            }
            inflated = nil
            let tail = min(file.length - tar.end, 1 << 16)
            if try file.read(tar.end, tail).contains(where: { $0 != 0 }) {
                notes.append(
                    "\(file.length - tar.end) bytes behind its end are not read: if tars were joined, join their contents"
                )
            }
        }
        var other = 0
        samples = Self.group(tar.members, passedOver: &other)
        notes += tar.passedOver.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key) passed over" }
        if other > 0 { notes.append("\(other) members without a key and a suffix passed over") }
        guard !samples.isEmpty else {
            throw Failure(
                .badData, path, "holds no samples", remedy: notes.isEmpty ? "" : notes.joined(separator: ", "))
        }
        self.notes = notes
    }

    /// A member's key and suffix; nil where it has none.
    static func key(of name: String) -> (key: String, suffix: String)? {
        let utf8 = name.utf8
        let base = utf8.lastIndex(of: UInt8(ascii: "/")).map { utf8.index(after: $0) } ?? utf8.startIndex
        guard let dot = utf8[base...].firstIndex(of: UInt8(ascii: ".")), dot > base else { return nil }
        return (String(name[..<dot]), String(name[utf8.index(after: dot)...]).lowercased())
    }

    /// Consecutive members with the same key are one sample; a suffix that comes again begins a new one.
    private static func group(_ members: [TarMember], passedOver: inout Int) -> [SampleEntry] {
        var samples: [SampleEntry] = []
        var current: String?
        var parts: [String: TarMember] = [:]
        func close() {
            if let current, !parts.isEmpty { samples.append(SampleEntry(key: current, members: parts)) }
            parts = [:]
        }
        for member in members {
            guard let (key, suffix) = key(of: member.name) else {
                passedOver += 1
                continue
            }
            if current.map({ !$0.isSameName(as: key) }) ?? true || parts[suffix] != nil { close() }
            current = key
            parts[suffix] = member
        }
        close()
        return samples
    }

    /// - Throws: `Failure(.io)` when the file can no longer be read, or is another one by now.
    func data(_ member: TarMember) throws -> Data {
        do {
            if let inflated { return try inflated.read(member.offset, member.size) }
            let file = try InputFile(path)
            guard file.identity == identity else {
                throw Failure(.io, path, "the shard has changed while it was in use", remedy: "Put it back as it was")
            }
            return try file.read(member.offset, member.size)
        } catch let failure as Failure where failure.kind == .inputMissing || failure.kind == .badData {
            throw Failure(.io, path, "the shard can no longer be read: \(failure.problem)")
        }
    }

    /// The file's name without .tar or .tar.gz.
    package var name: String {
        let name = (path as NSString).lastPathComponent
        return name.range(of: ".t", options: .backwards).map { String(name[..<$0.lowerBound]) } ?? name
    }

    /// Writes some samples, in their order and byte for byte, as a plain shard.
    package func repack(_ kept: [Int], to path: String) throws {
        try AtomicFile.write(to: path) { file in
            let tar = TarWriter(file)
            for index in kept {
                let members = samples[index].members.values.sorted { $0.offset < $1.offset }
                for member in members { try tar.add(member.name, try data(member)) }
            }
            try tar.finish()
        }
    }
}

/// What a shard's name ends with.
package let shardSuffixes = [".tar", ".tar.gz", ".tgz"]

/// Expands `shards-{0000..0012}.tar` and `{a,b}`; a folder stands for the shards in it, at any depth, links followed,
/// sorted bytewise by their paths.
///
/// - Throws: `Failure(.inputMissing)` when a folder holds no shards, `Failure(.usage)` for a wrong range.
package func expandShards(_ pattern: String) throws -> [String] {
    if Files.isFolder(pattern) {
        let found = try FolderWalk(pattern).files.filter { file in shardSuffixes.contains { file.hasSuffix($0) } }
        guard !found.isEmpty else {
            throw Failure(.inputMissing, pattern, "holds no \(shardSuffixes.joined(separator: ", ")) shards")
        }
        return found.map { pattern + "/" + $0 }
    }
    guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else {
        return [pattern]
    }
    let inside = pattern[pattern.index(after: open)..<close]
    let rest = try expandShards(String(pattern[pattern.index(after: close)...]))
    let words: [String]
    if let dots = inside.range(of: "..") {
        let (low, high) = (inside[..<dots.lowerBound], inside[dots.upperBound...])
        guard let first = Int(low), let last = Int(high), first >= 0, first <= last else {
            throw Failure(.usage, pattern, "{\(inside)} is no range", remedy: "Write {0000..0012}")
        }
        guard last - first < mostShards, (last - first + 1) * rest.count <= mostShards else {
            throw Failure(.usage, pattern, "{\(inside)} names more than \(mostShards) shards")
        }
        words = (first...last).map { number in
            let digits = String(number)
            return String(repeating: "0", count: max(0, low.count - digits.count)) + digits
        }
    } else {
        words = inside.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    guard words.count * rest.count <= mostShards else {
        throw Failure(.usage, pattern, "names more than \(mostShards) shards")
    }
    return words.flatMap { word in rest.map { pattern[..<open] + word + $0 } }
}

private let mostShards = 1_000_000
