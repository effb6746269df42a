import Foundation
import Support
import Synchronization

/// CLIP's byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2021):
/// 256 bytes, the same at the end of a word, one id per merge, then start and end.
package final class BPETokenizer: Tokenizer {
    package let digest: String
    package let start: Int32
    package let end: Int32
    package let cleaning: TextCleaning
    package var vocabularySize: Int { Int(end) + 1 }

    private struct Pair: Hashable {
        let first: Int32
        let second: Int32
    }
    private let ranks: [Pair: Int32]
    private let byteIDs: [Int32]
    /// Words seen before; captions repeat themselves.
    private let cache = Mutex<[String: [Int32]]>([:])
    private let words = Mutex(WordTable())
    private static let cacheLimit = 200_000
    private static let longestCached = 64
    static let mergeCount = 49152 - 256 - 2

    /// - Parameter path: bpe_simple_vocab_16e6.txt.gz: a version line, then one merge per line
    /// - Throws: `Failure(.badData)` naming the first wrong line
    package init(vocabulary path: String, cleaning: TextCleaning = .lower) throws {
        let data = try readFile(path)
        digest = SHA256.hex(data)
        self.cleaning = cleaning
        let lines = try TextLines.split(Gzip.contents(of: path), path: path)
        guard lines.count > Self.mergeCount else {
            throw Failure(
                .badData, path, "has \(lines.count) lines, \(Self.mergeCount + 1) are needed",
                remedy: "Run scripts/setup again")
        }
        // Bytes in the vocabulary's order: the printable ones of Latin-1 first, then the others.
        let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
        let order = printable + (0...255).filter { !printable.contains($0) }
        var byteIDs = [Int32](repeating: 0, count: 256)
        var ids: [NameKey: Int32] = [:]
        for (index, byte) in order.enumerated() {
            byteIDs[byte] = Int32(index)
            let letter = String(
                Character(Unicode.Scalar(point: index < printable.count ? byte : 256 + index - printable.count)))
            ids[NameKey(letter)] = Int32(index)
            ids[NameKey(letter + "</w>")] = Int32(index + 256)
        }
        self.byteIDs = byteIDs
        var ranks: [Pair: Int32] = [:]
        ranks.reserveCapacity(Self.mergeCount)
        for rank in 0..<Self.mergeCount {
            let parts = lines[rank + 1].unicodeScalars.split(separator: " ").map { String($0) }
            guard parts.count == 2, let first = ids[NameKey(parts[0])], let second = ids[NameKey(parts[1])] else {
                throw Failure(
                    .badData, "\(path):\(rank + 2)", "is no merge of two known symbols",
                    remedy: "Run scripts/setup again")
            }
            ranks[Pair(first: first, second: second)] = Int32(rank)
            ids[NameKey(parts[0] + parts[1])] = Int32(512 + rank)
        }
        self.ranks = ranks
        start = Int32(512 + Self.mergeCount)
        end = start + 1
    }

    package func encode(_ text: String, limit: Int) -> [Int32] {
        var ids: [Int32] = []
        let scalars = Array(cleaning(text).unicodeScalars)
        var index = 0
        while index < scalars.count, ids.count < limit {
            let length = wordLength(scalars, index)
            if length == 0 {
                index += 1
                continue
            }
            ids += wordIDs(String(scalars: scalars[index..<index + length]))
            index += length
        }
        return ids
    }

    /// open_clip's: start, ids, end, zeros; when too long, cut and the last place set to the end.
    package var padding: Int32 { 0 }

    package func ids(_ text: String, contextLength: Int) -> [Int32] {
        if cleaning == .lower, let row = plainRow(text, contextLength) { return row }
        var row = [start] + encode(text, limit: contextLength) + [end]
        if row.count > contextLength {
            row.removeLast(row.count - contextLength)
            row[contextLength - 1] = end
        }
        return row
    }

    /// What a byte of plain text is; anything else (`odd`) takes the long way.
    private enum Sort: UInt8 { case letter, number, space, other, odd }
    private static let sorts: [Sort] = (0...255).map { byte in
        switch byte {
        case 0x20: .space
        case 0x30...0x39: .number
        case 0x41...0x5A, 0x61...0x7A: .letter
        case 0x26, 0x3C, 0x00...0x1F, 0x7F...0xFF: .odd  // & and < may begin a reference or a special token
        default: .other
        }
    }

    /// The row of a text of printable ASCII, which needs no cleaning but lower case; nil for others.
    private func plainRow(_ text: String, _ contextLength: Int) -> [Int32]? {
        var text = text
        return text.withUTF8 { bytes -> [Int32]? in
            guard bytes.allSatisfy({ Self.sorts[Int($0)] != .odd }) else { return nil }
            var row = [Int32](repeating: 0, count: contextLength)
            row[0] = start
            var place = 1
            words.withLock { words in
                var index = 0
                while index < bytes.count, place < contextLength - 1 {
                    if bytes[index] == 0x20 {
                        index += 1
                        continue
                    }
                    let end = Self.wordEnd(bytes, index)
                    if end - index > 16 {
                        for id in wordIDs(Self.lowered(bytes, index..<end)) where place < contextLength - 1 {
                            row[place] = id
                            place += 1
                        }
                    } else {
                        for known in known(bytes, index..<end, &words) where place < contextLength - 1 {
                            row[place] = words.ids[known]
                            place += 1
                        }
                    }
                    index = end
                }
            }
            row[place] = end
            row.removeLast(contextLength - place - 1)
            return row
        }
    }

    /// The end of the word that begins here, as `wordLength` finds it.
    private static func wordEnd(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
        if bytes[start] == 0x27 {
            func letter(_ offset: Int) -> UInt8 { start + offset < bytes.count ? bytes[start + offset] | 0x20 : 0 }
            switch (letter(1), letter(2)) {
            case (0x73, _), (0x74, _), (0x6D, _), (0x64, _): return start + 2  // 's 't 'm 'd
            case (0x72, 0x65), (0x76, 0x65), (0x6C, 0x6C): return start + 3  // 're 've 'll
            default: break
            }
        }
        let sort = sorts[Int(bytes[start])]
        var end = start + 1
        if sort == .number { return end }
        while end < bytes.count, sorts[Int(bytes[end])] == sort { end += 1 }
        return end
    }

    private static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

    private static func lowered(_ bytes: UnsafeBufferPointer<UInt8>, _ word: Range<Int>) -> String {
        String(decoding: word.map { lower(bytes[$0]) }, as: UTF8.self)
    }

    /// Where in the table the ids of a word of up to 16 bytes stand.
    private func known(_ bytes: UnsafeBufferPointer<UInt8>, _ word: Range<Int>, _ table: inout WordTable) -> Range<Int>
    {
        var key = WordTable.Key()
        var shift: UInt64 = 0
        for index in word {
            let byte = UInt64(Self.lower(bytes[index]))
            if shift < 64 { key.low |= byte << shift } else { key.high |= byte << (shift - 64) }
            shift += 8
        }
        return table.find(key) ?? table.add(key, merged(Self.lowered(bytes, word)))
    }

    /// How many scalars from `start` make the next word: a special token, a contraction, letters, one
    /// number or other signs; 0 for white space. Case is ignored, the long s counts as s.
    private func wordLength(_ text: [Unicode.Scalar], _ start: Int) -> Int {
        func matches(_ word: String) -> Bool {
            let letters = Array(word.unicodeScalars)
            guard start + letters.count <= text.count else { return false }
            return zip(letters, text[start...]).allSatisfy { wanted, found in
                wanted == found || (wanted == "s" && (found == "\u{17F}" || found == "S"))
                    || (found.isASCII && found.properties.lowercaseMapping.unicodeScalars.first == wanted)
            }
        }
        let first = text[start]
        if first == "<" {
            for special in ["<start_of_text>", "<end_of_text>"] where matches(special) {
                return special.unicodeScalars.count
            }
        } else if first == "'" {
            for word in ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"] where matches(word) {
                return word.unicodeScalars.count
            }
        }
        let kind = Self.kind(first)
        switch kind {
        case .space: return 0
        case .number: return 1
        case .letter, .other:
            var end = start + 1
            while end < text.count, Self.kind(text[end]) == kind { end += 1 }
            return end - start
        }
    }

    private enum Kind { case letter, number, space, other }

    private static func kind(_ scalar: Unicode.Scalar) -> Kind {
        if scalar.isASCII {
            switch scalar.value {
            case 65...90, 97...122: return .letter
            case 48...57: return .number
            case 9...13, 32: return .space
            default: return .other
            }
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return scalar.properties.isWhitespace ? .space : .other
        }
    }

    private func wordIDs(_ word: String) -> [Int32] {
        if let known = cache.withLock({ $0[word] }) { return known }
        let ids: [Int32]
        switch word {
        case "<start_of_text>": ids = [start]
        case "<end_of_text>": ids = [end]
        default: ids = merged(word)
        }
        guard word.utf8.count <= Self.longestCached else { return ids }
        cache.withLock {
            if $0.count >= Self.cacheLimit { $0.removeAll(keepingCapacity: true) }
            $0[word] = ids
        }
        return ids
    }

    /// Merges the pair of lowest rank, everywhere it stands from the left, until no pair is known.
    private func merged(_ word: String) -> [Int32] {
        var ids = word.utf8.map { byteIDs[Int($0)] }
        ids[ids.count - 1] += 256
        guard ids.count > Self.shortWord else { return mergedByScan(ids) }
        return mergedByQueue(ids)
    }

    /// Up to here looking at all pairs again is quicker than a queue.
    private static let shortWord = 48

    private func mergedByScan(_ start: [Int32]) -> [Int32] {
        var ids = start
        while ids.count > 1 {
            var best: (rank: Int32, pair: Pair)?
            for index in 0..<ids.count - 1 {
                let pair = Pair(first: ids[index], second: ids[index + 1])
                if let rank = ranks[pair], rank < best?.rank ?? .max { best = (rank, pair) }
            }
            guard let best else { break }
            var merged: [Int32] = []
            var index = 0
            while index < ids.count {
                if index + 1 < ids.count, ids[index] == best.pair.first, ids[index + 1] == best.pair.second {
                    merged.append(512 + best.rank)
                    index += 2
                } else {
                    merged.append(ids[index])
                    index += 1
                }
            }
            ids = merged
        }
        return ids
    }

    /// The same in O(n log n): a list of symbols, and a queue of its pairs by rank and place. A merge only
    /// makes pairs of higher rank (its symbol first occurs in later merges), so taking them by rank and place is the scan's
    /// order.
    private func mergedByQueue(_ start: [Int32]) -> [Int32] {
        var ids = start
        var next = Array(1...ids.count)
        var previous = Array(-1..<ids.count - 1)
        var queue = PairQueue()
        func push(_ left: Int) {
            guard left >= 0, next[left] < ids.count else { return }
            guard let rank = ranks[Pair(first: ids[left], second: ids[next[left]])] else { return }
            queue.push(PairQueue.Item(rank: rank, place: left, first: ids[left], second: ids[next[left]]))
        }
        for index in 0..<ids.count - 1 { push(index) }
        while let item = queue.pop() {
            let left = item.place
            let right = next[left]
            // Stale where either symbol has been merged since.
            guard right < ids.count, ids[left] == item.first, ids[right] == item.second else { continue }
            ids[left] = 512 + item.rank
            ids[right] = -1
            next[left] = next[right]
            if next[left] < ids.count { previous[next[left]] = left }
            push(previous[left])
            push(left)
        }
        var found: [Int32] = []
        var index = 0
        while index < ids.count {
            found.append(ids[index])
            index = next[index]
        }
        return found
    }
}

/// A binary heap of pairs, the lowest rank first and of these the leftmost.
private struct PairQueue {
    struct Item {
        let rank: Int32
        let place: Int
        let first: Int32
        let second: Int32

        func precedes(_ other: Item) -> Bool { (rank, place) < (other.rank, other.place) }
    }

    private var items: [Item] = []

    mutating func push(_ item: Item) {
        items.append(item)
        var child = items.count - 1
        while child > 0, items[child].precedes(items[(child - 1) / 2]) {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> Item? {
        guard let top = items.first else { return nil }
        let last = items.removeLast()
        guard !items.isEmpty else { return top }
        items[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < items.count && items[child].precedes(items[least]) {
                least = child
            }
            guard least != parent else { return top }
            items.swapAt(parent, least)
            parent = least
        }
    }
}
