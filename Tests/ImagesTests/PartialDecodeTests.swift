import Foundation
import Images
import Support
import Testing

@Suite struct PartialDecodeTests {
    /// Noise, so that a pixel in the wrong place shows.
    private func noise(_ width: Int, _ height: Int, _ stream: inout RandomStream) -> PixelImage {
        PixelImage(
            width: width, height: height,
            pixels: (0..<width * height * 3).map { _ in UInt8(stream.integer(below: 256)) })
    }

    @Test("The part of a JPEG is the whole's, at every scale", arguments: 0..<40)
    func part(seed: Int) throws {
        var stream = RandomStream(seed: UInt64(seed), purpose: "parts")
        let image = noise(20 + stream.integer(below: 300), 20 + stream.integer(below: 300), &stream)
        let data = image.jpeg(quality: 80)
        let shortest = 5 + stream.integer(below: 120)
        let whole = try PixelImage(decoding: data, shortest: shortest)
        let width = 1 + stream.integer(below: whole.width), height = 1 + stream.integer(below: whole.height)
        let box = CropBox(
            left: stream.integer(below: whole.width - width + 1), top: stream.integer(below: whole.height - height + 1),
            width: width, height: height)
        let part = try PixelImage(decoding: data, shortest: shortest) { w, h in
            #expect(w == whole.width && h == whole.height)
            return box
        }
        #expect(part == whole.cropped(left: box.left, top: box.top, width: width, height: height))
    }

    @Test("A training crop by `fast` is the crop of the fast image, with the same draws")
    func augmentation() throws {
        var stream = RandomStream(seed: 1, purpose: "parts")
        let data = noise(300, 200, &stream).jpeg()
        let augmentation = Augmentation(scale: 0.3...0.6, flip: 0.5)
        for seed in 0..<10 as Range<UInt64> {
            var (first, second) = (RandomStream(seed: seed, purpose: "crop"), RandomStream(seed: seed, purpose: "crop"))
            let shortest = DecodeMode.fast.shortest(width: 32, height: 32, share: 0.3)
            let whole = augmentation(
                try PixelImage(decoding: data, shortest: shortest), width: 32, height: 32, .bicubic, &first)
            let part = try augmentation(
                decoding: data, (.fast, .rgbFirst), width: 32, height: 32, .bicubic, &second)
            #expect(part == whole)
            #expect(first.uniform() == second.uniform())
        }
    }
}
