package import Images
package import Support
import Tokenization

/// Samples together, as the host holds them.
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

/// How samples become batches.
package struct BatchPlan: Sendable {
    package var size: Int
    package var preprocess: Preprocess
    /// nil: the evaluation transform
    package var augmentation: Augmentation?
    package var decode = DecodeMode.exact
    package var conversion = ImageConversion.rgbFirst
    package var contextLength: Int
    package var fields = SampleFields()
    package var threads = 1
    /// Faulty samples that are tolerated, as a share of those seen.
    package var largestFaultShare = 0.1

    package init(size: Int, preprocess: Preprocess, contextLength: Int) {
        (self.size, self.preprocess, self.contextLength) = (size, preprocess, contextLength)
    }
}

/// Where the next batch begins. Saved with a checkpoint, it continues the same sequence.
package struct DataPosition: Sendable, Equatable {
    package var epoch = 0
    /// Samples of this epoch's order already taken, faulty ones included.
    package var taken = 0
    package init(epoch: Int = 0, taken: Int = 0) {
        self.epoch = epoch
        self.taken = taken
    }
}
