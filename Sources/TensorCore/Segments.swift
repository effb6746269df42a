/// Where each sequence of a packed [N, D] matrix begins and ends: sequence s holds rows
/// offsets[s]..<offsets[s + 1]. Captions of different lengths are packed without padding.
public struct Segments: Equatable, Sendable {
    /// Ascending, first 0; one more than there are sequences.
    public let offsets: [Int]

    public init(lengths: some Sequence<Int>) {
        var offsets = [0]
        for length in lengths {
            precondition(length > 0, "a sequence needs at least one token")
            offsets.append(offsets.last! + length)
        }
        self.offsets = offsets
    }

    /// `count` sequences of the same length.
    public init(count: Int, length: Int) { self.init(lengths: repeatElement(length, count: count)) }

    public var count: Int { offsets.count - 1 }
    public var total: Int { offsets.last! }
    public var longest: Int { (0..<count).map { self[$0].count }.max() ?? 0 }
    public subscript(sequence: Int) -> Range<Int> { offsets[sequence]..<offsets[sequence + 1] }
}
