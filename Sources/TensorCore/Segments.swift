/// Where each sequence of a packed [N, D] matrix begins and ends: sequence s holds rows
/// offsets[s]..<offsets[s + 1]. Captions of different lengths are packed without padding.
package struct Segments: Sendable {
    /// Ascending, first 0; one more than there are sequences.
    package let offsets: Indices
    package let longest: Int

    package init(lengths: some Sequence<Int>) {
        var offsets: [Int32] = [0]
        var (last, longest) = (0, 0)
        for length in lengths {
            precondition(length > 0, "a sequence needs at least one token")
            last += length
            longest = max(longest, length)
            offsets.append(Int32(last))
        }
        self.offsets = Indices(offsets)
        self.longest = longest
    }

    /// `count` sequences of the same length.
    package init(count: Int, length: Int) { self.init(lengths: repeatElement(length, count: count)) }

    package var count: Int { offsets.count - 1 }
    package var total: Int { Int(offsets.values[count]) }
    package subscript(sequence: Int) -> Range<Int> {
        Int(offsets.values[sequence])..<Int(offsets.values[sequence + 1])
    }

    /// Each sequence's first row.
    package var firsts: [Int32] { Array(offsets.values.dropLast()) }
}
