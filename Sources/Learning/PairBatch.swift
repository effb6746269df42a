package import Encoders
package import TensorCore

/// Images on their device: bytes as they were decoded, or values ready for a tower.
package struct ImageBatch: Sendable {
    /// uint8 [B,H,W,3], or float32 [B,3,H,W]
    private let stored: Tensor
    /// What each byte of each channel becomes, [3,256]; nil for values.
    private let table: Tensor?

    /// - Parameters:
    ///   - pixels: uint8 [B,H,W,3]
    ///   - table: [3,256]
    package init(pixels: Tensor, table: Tensor) { (stored, self.table) = (pixels, table) }

    /// - Parameter values: float32 [B,3,H,W], normalised
    package init(_ values: Tensor) { (stored, table) = (values, nil) }

    package var count: Int { stored.shape[0] }

    package func slice(_ images: Range<Int>) -> ImageBatch {
        let part = stored.slice(images)
        return table.map { ImageBatch(pixels: part, table: $0) } ?? ImageBatch(part)
    }

    /// What a tower takes: float32 [B,3,H,W].
    package var values: Tensor { table.map { normalizePixels(stored, by: $0) } ?? stored }
}

/// Images and a text for each.
package struct PairBatch: Sendable {
    package let images: ImageBatch
    package let texts: TokenBatch

    package init(images: ImageBatch, texts: TokenBatch) {
        precondition(images.count == texts.count, "\(images.count) images, \(texts.count) texts")
        (self.images, self.texts) = (images, texts)
    }

    package var count: Int { images.count }

    package func slice(_ pairs: Range<Int>) -> PairBatch {
        PairBatch(images: images.slice(pairs), texts: texts.slice(pairs))
    }
}
