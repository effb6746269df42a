import Foundation
import Support

/// Random changes of training images; each draws from its sample's own stream.
public struct Augmentation: Sendable, Equatable {
    /// Share of the area that RandomResizedCrop keeps, lowest and highest.
    public var scale: ClosedRange<Double>
    /// Width over height of the crop, lowest and highest.
    public var ratio: ClosedRange<Double>
    /// Chance of a horizontal flip.
    public var flip: Double

    public init(scale: ClosedRange<Double> = 0.9...1, ratio: ClosedRange<Double> = 0.75...(4.0 / 3), flip: Double = 0) {
        self.scale = scale
        self.ratio = ratio
        self.flip = flip
    }

    /// torchvision's RandomResizedCrop (ten tries, then the centre), then the flip.
    public func callAsFunction(
        _ image: some Raster, width: Int, height: Int, _ filter: ResampleFilter, _ random: inout RandomStream
    ) -> PixelImage {
        let box = crop(image, &random)
        let resized = image.cropped(left: box.left, top: box.top, width: box.width, height: box.height)
            .resized(width: width, height: height, filter)
        return (flip > 0 && random.uniform() < flip ? resized.flipped() : resized).rgb
    }

    private func crop(_ image: some Raster, _ random: inout RandomStream) -> (
        left: Int, top: Int, width: Int, height: Int
    ) {
        let area = Double(image.width * image.height)
        for _ in 0..<10 {
            let target = area * random.uniform(scale.lowerBound, scale.upperBound)
            let aspect = exp(random.uniform(log(ratio.lowerBound), log(ratio.upperBound)))
            let width = Int((target * aspect).squareRoot().rounded())
            let height = Int((target / aspect).squareRoot().rounded())
            guard width > 0, height > 0, width <= image.width, height <= image.height else { continue }
            return (
                random.integer(below: image.width - width + 1), random.integer(below: image.height - height + 1), width,
                height
            )
        }
        let aspect = min(max(Double(image.width) / Double(image.height), ratio.lowerBound), ratio.upperBound)
        let width = min(image.width, Int((Double(image.height) * aspect).rounded()))
        let height = min(image.height, Int((Double(image.width) / aspect).rounded()))
        return ((image.width - width) / 2, (image.height - height) / 2, max(1, width), max(1, height))
    }
}
