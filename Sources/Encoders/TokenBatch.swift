/// Token ids of several texts one after the other, without padding; towers that attend to padding get it on demand.
package struct TokenBatch: Sendable, Equatable {
    /// [N], start and end tokens included
    package let ids: [Int32]
    /// [B+1]: text b holds ids offsets[b]..<offsets[b+1].
    package let offsets: [Int]
    /// What padding fills texts up to.
    package let contextLength: Int
    package let padding: Int32

    /// - Parameter texts: B texts' ids, each of 1 to `contextLength`
    package init(_ texts: some Sequence<[Int32]>, contextLength: Int, padding: Int32) {
        var (ids, offsets): ([Int32], [Int]) = ([], [0])
        for text in texts {
            precondition(!text.isEmpty && text.count <= contextLength, "a text of \(text.count) tokens")
            ids += text
            offsets.append(ids.count)
        }
        (self.ids, self.offsets, self.contextLength, self.padding) = (ids, offsets, contextLength, padding)
    }

    /// Texts whose padding, where there is any, stands among their ids: row-major [B,T].
    package init(padded ids: [Int32], contextLength: Int) {
        precondition(contextLength > 0 && ids.count % contextLength == 0, "ids do not fill rows of \(contextLength)")
        self.ids = ids
        self.contextLength = contextLength
        offsets = Array(stride(from: 0, through: ids.count, by: contextLength))
        padding = 0
    }

    package var count: Int { offsets.count - 1 }

    /// A text's own ids.
    package subscript(text: Int) -> ArraySlice<Int32> { ids[offsets[text]..<offsets[text + 1]] }

    /// A text's ids with padding up to the context length.
    package func padded(_ text: Int) -> [Int32] {
        let own = self[text]
        return own + [Int32](repeating: padding, count: contextLength - own.count)
    }

    package func slice(_ texts: Range<Int>) -> TokenBatch {
        TokenBatch(texts.map { Array(self[$0]) }, contextLength: contextLength, padding: padding)
    }
}
