/// The ids of short ASCII words seen before, by their bytes: captions repeat themselves. Open addressing, keys of two
/// integers of 8 bytes each.
struct WordTable {
    /// Up to 16 bytes, zeros after them.
    struct Key: Equatable {
        var low: UInt64 = 0
        var high: UInt64 = 0
    }

    private struct Entry {
        var key: Key
        var start: Int32
        var count: Int32
    }

    private static let mostWords = 1 << 18
    private var slots = [Entry](repeating: Entry(key: Key(), start: 0, count: 0), count: 1 << 12)
    private var used = 0
    private(set) var ids: [Int32] = []

    private func slot(of key: Key) -> Int {
        let mask = slots.count - 1
        var mixed = (key.low ^ (key.high &* 0x9E37_79B9_7F4A_7C15)) &* 0xD6E8_FEB8_6659_FD93
        mixed ^= mixed >> 32
        var slot = Int(truncatingIfNeeded: mixed) & mask
        while slots[slot].count > 0, slots[slot].key != key { slot = (slot + 1) & mask }
        return slot
    }

    /// Where in `ids` a word's begin and end; nil for one not seen.
    func find(_ key: Key) -> Range<Int>? {
        let entry = slots[slot(of: key)]
        return entry.count > 0 ? Int(entry.start)..<Int(entry.start + entry.count) : nil
    }

    mutating func add(_ key: Key, _ word: [Int32]) -> Range<Int> {
        if used == Self.mostWords { self = WordTable() }
        if used * 2 >= slots.count {
            let old = slots
            slots = [Entry](repeating: Entry(key: Key(), start: 0, count: 0), count: old.count * 2)
            for entry in old where entry.count > 0 { slots[slot(of: entry.key)] = entry }
        }
        let start = ids.count
        ids += word
        slots[slot(of: key)] = Entry(key: key, start: Int32(start), count: Int32(word.count))
        used += 1
        return start..<ids.count
    }
}
