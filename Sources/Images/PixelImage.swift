/// A part of an image, in pixels from its top left corner.
package struct CropBox: Sendable, Equatable {
    package let left: Int
    package let top: Int
    package let width: Int
    package let height: Int

    package init(left: Int, top: Int, width: Int, height: Int) {
        (self.left, self.top, self.width, self.height) = (left, top, width, height)
    }
}

/// An 8-bit RGB image, rows from the top.
package struct PixelImage: Equatable, Sendable {
    package let width: Int
    package let height: Int
    /// [height, width, 3]
    package var pixels: [UInt8]
    private let share: DecodeShare?

    package init(width: Int, height: Int, pixels: [UInt8]) {
        self.init(width: width, height: height, pixels: pixels, share: nil)
    }

    init(width: Int, height: Int, pixels: [UInt8], share: DecodeShare?) {
        precondition(pixels.count == width * height * 3, "\(pixels.count) bytes do not fill \(width)x\(height) RGB")
        self.width = width
        self.height = height
        self.pixels = pixels
        self.share = share
    }

    package static func == (a: PixelImage, b: PixelImage) -> Bool {
        a.width == b.width && a.height == b.height && a.pixels == b.pixels
    }

    /// The part with this corner and size; it must lie inside.
    package func cropped(left: Int, top: Int, width: Int, height: Int) -> PixelImage {
        if left == 0, top == 0, width == self.width, height == self.height { return self }
        precondition(
            left >= 0 && top >= 0 && left + width <= self.width && top + height <= self.height,
            "crop outside of the image")
        var out = [UInt8]()
        out.reserveCapacity(width * height * 3)
        for y in top..<top + height {
            let start = (y * self.width + left) * 3
            out.append(contentsOf: pixels[start..<start + width * 3])
        }
        return PixelImage(width: width, height: height, pixels: out)
    }

    package func flipped() -> PixelImage {
        var out = pixels
        for y in 0..<height {
            for x in 0..<width {
                for c in 0..<3 { out[(y * width + x) * 3 + c] = pixels[(y * width + width - 1 - x) * 3 + c] }
            }
        }
        return PixelImage(width: width, height: height, pixels: out)
    }

    package func padded(left: Int, top: Int, width: Int, height: Int, fill: UInt8) -> PixelImage {
        var out = [UInt8](repeating: fill, count: width * height * 3)
        for y in 0..<self.height {
            let target = ((y + top) * width + left) * 3
            out.replaceSubrange(
                target..<target + self.width * 3, with: pixels[y * self.width * 3..<(y + 1) * self.width * 3])
        }
        return PixelImage(width: width, height: height, pixels: out)
    }
}
