import CCodecs
import CPixels
package import Foundation

/// An image in the form that its file holds, as PIL opens it: resized in that form, turned to RGB afterwards.
package struct OpenedImage: Raster {
    private enum Content {
        case rgb(PixelImage)
        /// A palette or one bit: indices are never mixed, PIL takes the nearest whatever filter it is given.
        case indexed(PixelImage, palette: [UInt8])
        /// Resized with colours multiplied by alpha.
        case alpha(colour: PixelImage, alpha: PixelImage)
        case cmyk(PixelImage, black: PixelImage)
        case grey16(Grey16)
    }

    private let content: Content

    private init(_ content: Content) { self.content = content }

    /// - Throws: `ImageFault`
    package init(decoding data: Data, shortest: Int? = nil) throws(ImageFault) {
        let decoded = try Decoded(data, shortest: shortest, asOpened: true)
        let image = PixelImage(
            width: decoded.width, height: decoded.height, pixels: decoded.pixels, share: decoded.share)
        /// A plane as an image of three equal channels.
        func plane() -> PixelImage {
            PixelImage(width: image.width, height: image.height, pixels: decoded.extra.flatMap { [$0, $0, $0] })
        }
        switch decoded.kind {
        case Int(CC_ALPHA): content = .alpha(colour: image, alpha: plane())
        case Int(CC_CMYK): content = .cmyk(image, black: plane())
        case Int(CC_INDEXED): content = .indexed(image, palette: decoded.palette)
        case Int(CC_GREY16):
            content = .grey16(
                Grey16(
                    width: image.width, height: image.height,
                    values: stride(from: 0, to: decoded.extra.count, by: 2).map {
                        UInt16(decoded.extra[$0]) | UInt16(decoded.extra[$0 + 1]) << 8
                    }))
        default: content = .rgb(image)
        }
    }

    package var width: Int { size.width }
    package var height: Int { size.height }

    private var size: (width: Int, height: Int) {
        switch content {
        case .rgb(let image), .indexed(let image, _), .alpha(let image, _), .cmyk(let image, _):
            (image.width, image.height)
        case .grey16(let image): (image.width, image.height)
        }
    }

    package var rgb: PixelImage {
        switch content {
        case .rgb(let image), .indexed(let image, _), .alpha(let image, _): return image
        case .cmyk(let image, let black):
            let planes = stride(from: 0, to: black.pixels.count, by: 3).map { black.pixels[$0] }
            let count = planes.count
            let pixels = [UInt8](unsafeUninitializedCapacity: count * 3) { buffer, filled in
                cc_cmyk_to_rgb(image.pixels, planes, count, buffer.baseAddress)
                filled = count * 3
            }
            return PixelImage(width: image.width, height: image.height, pixels: pixels)
        case .grey16(let image):
            let pixels = image.values.flatMap { value in
                let clipped = UInt8(clamping: Int(value))
                return [clipped, clipped, clipped]
            }
            return PixelImage(width: image.width, height: image.height, pixels: pixels)
        }
    }

    /// The same done to every part.
    private func mapped(_ change: (PixelImage) -> PixelImage, _ grey: (Grey16) -> Grey16) -> OpenedImage {
        switch content {
        case .rgb(let image): OpenedImage(.rgb(change(image)))
        case .indexed(let image, let palette): OpenedImage(.indexed(change(image), palette: palette))
        case .alpha(let colour, let alpha): OpenedImage(.alpha(colour: change(colour), alpha: change(alpha)))
        case .cmyk(let image, let black): OpenedImage(.cmyk(change(image), black: change(black)))
        case .grey16(let image): OpenedImage(.grey16(grey(image)))
        }
    }

    package func cropped(left: Int, top: Int, width: Int, height: Int) -> OpenedImage {
        mapped(
            { $0.cropped(left: left, top: top, width: width, height: height) },
            { image in
                image.filled(width: width, height: height) { image[left + $0, top + $1] }
            })
    }

    package func flipped() -> OpenedImage {
        mapped(
            { $0.flipped() },
            { image in
                image.filled(width: image.width, height: image.height) { image[image.width - 1 - $0, $1] }
            })
    }

    package func padded(left: Int, top: Int, width: Int, height: Int, fill: UInt8) -> OpenedImage {
        if case .indexed(let image, let palette) = content {
            let colour = Array(palette[3 * Int(fill)..<3 * Int(fill) + 3])
            return OpenedImage(
                .indexed(
                    image.padded(left: left, top: top, width: width, height: height, colour: colour), palette: palette))
        }
        return mapped(
            { $0.padded(left: left, top: top, width: width, height: height, fill: fill) },
            { image in
                image.filled(width: width, height: height) { x, y in
                    let (column, row) = (x - left, y - top)
                    let isInside = (0..<image.width).contains(column) && (0..<image.height).contains(row)
                    return isInside ? image[column, row] : UInt16(fill)
                }
            })
    }

    package func resized(width newWidth: Int, height newHeight: Int, _ filter: ResampleFilter) -> OpenedImage {
        guard newWidth != width || newHeight != height else { return self }
        switch content {
        case .indexed(let image, let palette):
            return OpenedImage(.indexed(image.nearest(width: newWidth, height: newHeight), palette: palette))
        case .alpha(let colour, let alpha):
            let small = alpha.resized(width: newWidth, height: newHeight, filter)
            let weighted = Self.premultiplied(colour, alpha).resized(width: newWidth, height: newHeight, filter)
            return OpenedImage(.alpha(colour: Self.divided(weighted, small), alpha: small))
        case .rgb, .cmyk, .grey16:
            return mapped(
                { $0.resized(width: newWidth, height: newHeight, filter) },
                { $0.resized(width: newWidth, height: newHeight, filter) })
        }
    }

    /// PIL's RGBA to RGBa.
    private static func premultiplied(_ colour: PixelImage, _ alpha: PixelImage) -> PixelImage {
        let pixels = zip(colour.pixels, alpha.pixels).map { (value: UInt8, alpha: UInt8) -> UInt8 in
            let t = Int(value) * Int(alpha) + 128
            return UInt8(((t >> 8) + t) >> 8)
        }
        return PixelImage(width: colour.width, height: colour.height, pixels: pixels)
    }

    /// PIL's RGBa to RGBA.
    private static func divided(_ colour: PixelImage, _ alpha: PixelImage) -> PixelImage {
        let pixels = zip(colour.pixels, alpha.pixels).map { (value: UInt8, alpha: UInt8) -> UInt8 in
            alpha == 0 || alpha == 255 ? value : UInt8(min(255, 255 * Int(value) / Int(alpha)))
        }
        return PixelImage(width: colour.width, height: colour.height, pixels: pixels)
    }
}

extension PixelImage {
    /// PIL's nearest neighbour: the source of each position by repeated addition.
    func nearest(width newWidth: Int, height newHeight: Int) -> PixelImage {
        func sources(_ input: Int, _ output: Int) -> [Int] {
            let step = Double(input) / Double(output)
            var position = step * 0.5
            return (0..<output).map { _ in
                defer { position += step }
                return min(input - 1, Int(position))
            }
        }
        let (columns, rows) = (sources(width, newWidth), sources(height, newHeight))
        var out: [UInt8] = []
        out.reserveCapacity(newWidth * newHeight * 3)
        for row in rows {
            for column in columns { out += pixels[(row * width + column) * 3..<(row * width + column) * 3 + 3] }
        }
        return PixelImage(width: newWidth, height: newHeight, pixels: out)
    }

    func padded(left: Int, top: Int, width: Int, height: Int, colour: [UInt8]) -> PixelImage {
        var out = padded(left: left, top: top, width: width, height: height, fill: 0)
        for y in 0..<height {
            for x in 0..<width where !(left..<left + self.width).contains(x) || !(top..<top + self.height).contains(y) {
                for c in 0..<3 { out.pixels[(y * width + x) * 3 + c] = colour[c] }
            }
        }
        return out
    }
}
