package import Foundation
package import Support

/// Random changes of training images; each draws from its sample's own stream.
package struct Augmentation: Sendable, Equatable {
    /// Share of the area that RandomResizedCrop keeps, lowest and highest.
    package var scale: ClosedRange<Double>
    /// Width over height of the crop, lowest and highest.
    package var ratio: ClosedRange<Double>
    /// Chance of a horizontal flip.
    package var flip: Double

    package init(scale: ClosedRange<Double> = 0.9...1, ratio: ClosedRange<Double> = 0.75...(4.0 / 3), flip: Double = 0)
    {
        self.scale = scale
        self.ratio = ratio
        self.flip = flip
    }

    /// torchvision's RandomResizedCrop (ten tries, then the centre), then the flip.
    package func callAsFunction(
        _ image: some Raster, width: Int, height: Int, _ filter: ResampleFilter, _ random: inout RandomStream
    ) -> PixelImage {
        finish(image.cropped(box(image.width, image.height, &random)), width, height, filter, &random)
    }

    /// The same of an image file. `fast` decodes nothing of a JPEG but the crop.
    ///
    /// - Throws: `ImageFault`
    package func callAsFunction(
        decoding data: Data, _ how: (decode: DecodeMode, conversion: ImageConversion), width: Int, height: Int,
        _ filter: ResampleFilter, _ random: inout RandomStream
    ) throws(ImageFault) -> PixelImage {
        let shortest = how.decode.shortest(width: width, height: height, share: scale.lowerBound)
        guard let shortest, how.conversion == .rgbFirst else {
            return self(
                try how.conversion.open(data, shortest: shortest), width: width, height: height, filter, &random)
        }
        var stream = random
        let part = try PixelImage(decoding: data, shortest: shortest) { box($0, $1, &stream) }
        random = stream
        return finish(part, width, height, filter, &random)
    }

    private func finish(
        _ crop: some Raster, _ width: Int, _ height: Int, _ filter: ResampleFilter, _ random: inout RandomStream
    ) -> PixelImage {
        let resized = crop.resized(width: width, height: height, filter)
        return (flip > 0 && random.uniform() < flip ? resized.flipped() : resized).rgb
    }

    private func box(_ imageWidth: Int, _ imageHeight: Int, _ random: inout RandomStream) -> CropBox {
        let area = Double(imageWidth * imageHeight)
        for _ in 0..<10 {
            let target = area * random.uniform(scale.lowerBound, scale.upperBound)
            let aspect = exp(random.uniform(log(ratio.lowerBound), log(ratio.upperBound)))
            let width = Int((target * aspect).squareRoot().rounded())
            let height = Int((target / aspect).squareRoot().rounded())
            guard width > 0, height > 0, width <= imageWidth, height <= imageHeight else { continue }
            return CropBox(
                left: random.integer(below: imageWidth - width + 1),
                top: random.integer(below: imageHeight - height + 1),
                width: width, height: height)
        }
        let aspect = min(max(Double(imageWidth) / Double(imageHeight), ratio.lowerBound), ratio.upperBound)
        let width = min(imageWidth, Int((Double(imageHeight) * aspect).rounded()))
        let height = min(imageHeight, Int((Double(imageWidth) / aspect).rounded()))
        return CropBox(
            left: (imageWidth - width) / 2, top: (imageHeight - height) / 2, width: max(1, width),
            height: max(1, height))
    }
}
