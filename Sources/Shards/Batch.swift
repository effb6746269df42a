package import Images
package import Support
import Tokenization

/// Samples together, as the host holds them; over several processes, this one's part of a batch.
package struct Batch: Sendable {
    /// [B,H,W,3]
    package let pixels: HostBytes
    package let height: Int
    package let width: Int
    /// Each caption's ids, start and end in place, padding left out.
    package let tokens: [[Int32]]
    package let keys: [String]
    /// The caption drawn for each image.
    package let captions: [String]
    package var count: Int { keys.count }

    /// An image to look at.
    package func image(_ index: Int) -> PixelImage {
        let size = height * width * 3
        return PixelImage(width: width, height: height, pixels: Array(pixels.bytes[index * size..<(index + 1) * size]))
    }
}
