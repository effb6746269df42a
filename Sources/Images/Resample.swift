import CPixels
import Foundation

/// Filters of PIL's resize.
package enum ResampleFilter: String, Sendable, CaseIterable {
    case bicubic, bilinear

    var support: Double { self == .bicubic ? 2 : 1 }

    func callAsFunction(_ position: Double) -> Double {
        let x = abs(position)
        switch self {
        case .bilinear: return x < 1 ? 1 - x : 0
        case .bicubic:  // a = -0.5
            if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
        }
    }
}

/// Which positions of an axis each new position is made of, and by how much, in double precision.
package struct ResampleTaps {
    package struct Tap {
        package let first: Int
        package let weights: ArraySlice<Double>
    }

    private var first: [Int] = []
    private var ends: [Int] = [0]
    private var weights: [Double] = []
    /// The most that one position is made of.
    let longest: Int

    package subscript(position: Int) -> Tap {
        Tap(first: first[position], weights: weights[ends[position]..<ends[position + 1]])
    }

    package init(from input: Int, to output: Int, _ filter: ResampleFilter) {
        let scale = Double(input) / Double(output)
        let stretch = max(1, scale)
        let support = filter.support * stretch
        let inverse = 1 / stretch  // multiplied by, as PIL does: a quotient differs in the last bit
        longest = Int(support.rounded(.up)) * 2 + 1
        first.reserveCapacity(output)
        ends.reserveCapacity(output + 1)
        weights.reserveCapacity(output * longest)
        for position in 0..<output {
            let centre = (Double(position) + 0.5) * scale
            let low = max(0, Int(centre - support + 0.5))
            let high = min(input, Int(centre + support + 0.5))
            let start = weights.count
            var sum = 0.0
            for place in low..<high {
                let weight = filter((Double(place) - centre + 0.5) * inverse)
                weights.append(weight)
                sum += weight
            }
            if sum != 0 { for index in start..<weights.count { weights[index] /= sum } }
            first.append(low)
            ends.append(weights.count)
        }
    }
}

/// The same in 22-bit fixed point.
struct ResampleWeights {
    var first: [Int32] = []
    var count: [Int32] = []
    var weights: [Int32] = []
    let taps: Int

    init(from input: Int, to output: Int, _ filter: ResampleFilter) {
        let exact = ResampleTaps(from: input, to: output, filter)
        taps = exact.longest
        weights = [Int32](repeating: 0, count: output * taps)
        for position in 0..<output {
            let tap = exact[position]
            first.append(Int32(tap.first))
            count.append(Int32(tap.weights.count))
            for (index, value) in tap.weights.enumerated() {
                weights[position * taps + index] = Int32(value * 0x1p22 + (value < 0 ? -0.5 : 0.5))
            }
        }
    }
}

extension PixelImage {
    /// PIL's antialiased resize, bit for bit: two passes, 8-bit rounding between them, the vertical one
    /// first exactly when (H_in - H_out) > 2 max(0, W_in - W_out); an axis that keeps its size is skipped.
    package func resized(width newWidth: Int, height newHeight: Int, _ filter: ResampleFilter) -> PixelImage {
        precondition(newWidth > 0 && newHeight > 0, "cannot resize to \(newWidth)x\(newHeight)")
        let isVerticalFirst = height - newHeight > 2 * max(0, width - newWidth)
        if isVerticalFirst { return vertically(newHeight, filter).horizontally(newWidth, filter) }
        return horizontally(newWidth, filter).vertically(newHeight, filter)
    }

    private func horizontally(_ newWidth: Int, _ filter: ResampleFilter) -> PixelImage {
        guard newWidth != width else { return self }
        let axis = ResampleWeights(from: width, to: newWidth, filter)
        let out = [UInt8](unsafeUninitializedCapacity: newWidth * height * 3) { buffer, count in
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 24 * (width + newWidth)) { scratch in
                cp_resample_horizontal(
                    pixels, buffer.baseAddress, height, width, newWidth, axis.first, axis.count, axis.weights,
                    axis.taps,
                    scratch.baseAddress)
            }
            count = newWidth * height * 3
        }
        return PixelImage(width: newWidth, height: height, pixels: out)
    }

    private func vertically(_ newHeight: Int, _ filter: ResampleFilter) -> PixelImage {
        guard newHeight != height else { return self }
        let axis = ResampleWeights(from: height, to: newHeight, filter)
        let out = [UInt8](unsafeUninitializedCapacity: width * newHeight * 3) { buffer, count in
            cp_resample_vertical(
                pixels, buffer.baseAddress, width * 3, newHeight, axis.first, axis.count, axis.weights, axis.taps)
            count = width * newHeight * 3
        }
        return PixelImage(width: width, height: newHeight, pixels: out)
    }
}
