package import Images

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
