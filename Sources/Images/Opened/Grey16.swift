import CCodecs
import CPixels
import Foundation

/// Grey of 16 bits, PIL's I;16.
struct Grey16 {
    let width: Int
    let height: Int
    var values: [UInt16]

    subscript(x: Int, y: Int) -> UInt16 { values[y * width + x] }

    func filled(width: Int, height: Int, _ value: (Int, Int) -> UInt16) -> Grey16 {
        Grey16(width: width, height: height, values: (0..<width * height).map { value($0 % width, $0 / width) })
    }

    /// PIL's resize of 16 bits: the same passes as of 8, weights in double precision.
    func resized(width newWidth: Int, height newHeight: Int, _ filter: ResampleFilter) -> Grey16 {
        let isVerticalFirst = height - newHeight > 2 * max(0, width - newWidth)
        func horizontally(_ image: Grey16) -> Grey16 {
            guard newWidth != image.width else { return image }
            let taps = ResampleTaps(from: image.width, to: newWidth, filter)
            return image.filled(width: newWidth, height: image.height) { x, y in
                Self.weighted(taps[x]) { image[$0, y] }
            }
        }
        func vertically(_ image: Grey16) -> Grey16 {
            guard newHeight != image.height else { return image }
            let taps = ResampleTaps(from: image.height, to: newHeight, filter)
            return image.filled(width: image.width, height: newHeight) { x, y in
                Self.weighted(taps[y]) { image[x, $0] }
            }
        }
        return isVerticalFirst ? horizontally(vertically(self)) : vertically(horizontally(self))
    }

    private static func weighted(_ tap: ResampleTaps.Tap, _ value: (Int) -> UInt16) -> UInt16 {
        var sum = 0.0
        for (index, weight) in tap.weights.enumerated() { sum += Double(value(tap.first + index)) * weight }
        let rounded = Int(sum >= 0 ? (sum + 0.5).rounded(.down) : -(abs(sum) + 0.5).rounded(.down))
        // PIL clips the two bytes each for itself.
        let (low, high) = (min(255, max(0, rounded % 256)), min(255, max(0, rounded >> 8)))
        return UInt16(high << 8 | low)
    }
}
