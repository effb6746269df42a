import CPixels
import Foundation
package import Support

/// How an image becomes a model's input, read from open_clip's `preprocess_cfg` as it is.
package struct Preprocess: Sendable, Equatable {
    package enum ResizeMode: String, Sendable, CaseIterable {
        /// Shortest side to the target, then the centre.
        case shortest
        /// Both sides to the target, whatever the shape.
        case squash
        /// Longest side to the target, the rest filled.
        case longest
    }

    package var height: Int
    package var width: Int
    package var mean: [Float]
    package var deviation: [Float]
    package var filter: ResampleFilter
    package var mode: ResizeMode
    package var fill: UInt8

    package static let clipMean: [Float] = [0.48145466, 0.4578275, 0.40821073]
    package static let clipDeviation: [Float] = [0.26862954, 0.26130258, 0.27577711]

    /// - Throws: `Failure(.badData)` naming the key.
    package init(_ json: JSON, height: Int, width: Int, path: String) throws {
        let settings = try Section(json, path: path, name: "preprocess_cfg")
        try settings.requireKnown(Self.keys)
        _ = try settings.choice("mode", default: "RGB", ["RGB": ()])
        let sizeKey = settings.has("size") ? "size" : "image_size"
        (self.height, self.width) = try settings.sides(sizeKey, default: (height, width), in: 1...1 << 20)
        func triple(_ key: String, _ fallback: [Float]) throws -> [Float] {
            try settings.has(key) ? settings.numbers(key, count: 3).map { Float($0) } : fallback
        }
        mean = try triple("mean", Self.clipMean)
        deviation = try triple("std", Self.clipDeviation)
        guard deviation.allSatisfy({ $0 > 0 && $0.isFinite }), mean.allSatisfy(\.isFinite) else {
            throw settings.wrong("std", "needs three numbers above 0")
        }
        filter = try settings.choice("interpolation", default: .bicubic)
        mode = try settings.choice("resize_mode", default: .shortest)
        fill = UInt8(try settings.integer("fill_color", default: 0, in: 0...255))
    }

    private static let keys: Set = [
        "size", "image_size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color",
    ]

    /// The settings that are read, and the keys of those that are not.
    package static func known(_ json: JSON) -> (JSON, dropped: [String]) {
        guard let members = json.object else { return (json, []) }
        return (.object(members.filter { keys.contains($0.key) }), members.keys.filter { !keys.contains($0) }.sorted())
    }

    /// What is written back as `preprocess_cfg`.
    package var json: JSON {
        // Floats are written as the shortest decimal that reads back to them.
        func decimals(_ values: [Float]) -> JSON { .array(values.map { .number(Double("\($0)") ?? Double($0)) }) }
        return [
            "size": height == width ? .integer(height) : [.integer(height), .integer(width)], "mode": "RGB",
            "mean": decimals(mean), "std": decimals(deviation), "interpolation": .string(filter.rawValue),
            "resize_mode": .string(mode.rawValue), "fill_color": .integer(Int(fill)),
        ]
    }

    /// The evaluation transform in 8 bits: resize, then crop or pad to the target size.
    package func geometry(_ image: some Raster) -> PixelImage { placed(image).rgb }

    private func placed<Image: Raster>(_ image: Image) -> Image {
        switch mode {
        case .squash: return image.resized(width: width, height: height, filter)
        case .shortest:
            if height == width {
                let (w, h) = Self.shortestSide(image.width, image.height, height)
                return image.resized(width: w, height: h, filter).centred(width: width, height: height, fill: 0)
            }
            let ratio = min(Double(image.height) / Double(height), Double(image.width) / Double(width))
            // open_clip leaves the filter at bicubic here
            return keepingRatio(image, ratio, .bicubic).centred(width: width, height: height, fill: 0)
        case .longest:
            let ratio = max(Double(image.height) / Double(height), Double(image.width) / Double(width))
            return keepingRatio(image, ratio, filter).centred(width: width, height: height, fill: fill)
        }
    }

    /// torchvision's Resize with one number: the shortest side becomes it, the other is cut to an integer.
    package static func shortestSide(_ width: Int, _ height: Int, _ target: Int) -> (width: Int, height: Int) {
        let (short, long) = (min(width, height), max(width, height))
        if short == target { return (width, height) }
        let other = target * long / short
        return width <= height ? (target, other) : (other, target)
    }

    private func keepingRatio<Image: Raster>(_ image: Image, _ ratio: Double, _ filter: ResampleFilter) -> Image {
        func scaled(_ side: Int) -> Int { max(1, Int((Double(side) / ratio).rounded(.toNearestOrEven))) }
        return image.resized(width: scaled(image.width), height: scaled(image.height), filter)
    }

    /// What each value of each channel becomes, [3,256]: value / 255, minus the mean, over the deviation.
    package var table: [Float] {
        (0..<3).flatMap { c in (0..<256).map { (Float($0) / 255 - mean[c]) / deviation[c] } }
    }
}

extension Raster {
    /// torchvision's centre crop, padding where the image is smaller.
    func centred(width newWidth: Int, height newHeight: Int, fill: UInt8) -> Self {
        var image = self
        if newWidth > width || newHeight > height {
            let (wide, tall) = (max(newWidth, width), max(newHeight, height))
            image = padded(left: (wide - width) / 2, top: (tall - height) / 2, width: wide, height: tall, fill: fill)
        }
        func offset(_ whole: Int, _ part: Int) -> Int { Int((Double(whole - part) / 2).rounded(.toNearestOrEven)) }
        return image.cropped(
            left: offset(image.width, newWidth), top: offset(image.height, newHeight), width: newWidth,
            height: newHeight)
    }
}
