import Foundation
import Support

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
