/// Ranges of addresses that nobody uses: by address, never adjacent, so that what one size gave back serves another.
package struct FreeRanges: Sendable {
    private var ranges: [Range<UInt>] = []

    package init() {}

    /// The start of `size` bytes of the smallest range that fits, the lowest of these; nil where none does.
    package mutating func take(_ size: Int) -> UInt? {
        var best = -1
        for (index, range) in ranges.enumerated()
        where range.count >= size && (best < 0 || range.count < ranges[best].count) { best = index }
        guard best >= 0 else { return nil }
        let start = ranges[best].lowerBound
        if ranges[best].count == size {
            ranges.remove(at: best)
        } else {
            ranges[best] = start + UInt(size)..<ranges[best].upperBound
        }
        return start
    }

    package mutating func give(_ range: Range<UInt>) {
        let low = place(of: range.lowerBound)
        let joinsPrevious = low > 0 && ranges[low - 1].upperBound == range.lowerBound
        let joinsNext = low < ranges.count && ranges[low].lowerBound == range.upperBound
        let start = joinsPrevious ? ranges[low - 1].lowerBound : range.lowerBound
        let end = joinsNext ? ranges[low].upperBound : range.upperBound
        ranges.replaceSubrange((joinsPrevious ? low - 1 : low)..<(joinsNext ? low + 1 : low), with: [start..<end])
    }

    /// Takes this very range; false where not all of it is free.
    package mutating func take(_ range: Range<UInt>) -> Bool {
        let low = place(of: range.lowerBound + 1) - 1
        guard low >= 0, ranges[low].lowerBound <= range.lowerBound, range.upperBound <= ranges[low].upperBound else {
            return false
        }
        let (before, after) = (ranges[low].lowerBound..<range.lowerBound, range.upperBound..<ranges[low].upperBound)
        ranges.replaceSubrange(low...low, with: [before, after].filter { !$0.isEmpty })
        return true
    }

    /// Free bytes that end at an address.
    package func count(upTo end: UInt) -> Int { ranges.last { $0.upperBound == end }?.count ?? 0 }

    /// How many begin before an address.
    private func place(of address: UInt) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].lowerBound < address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
