import TensorCore

extension ReferenceDevice {
    func normalizePixels(_ call: Kernel.NormalizePixels) {
        let (pixels, table, out) = (bytes(call.x), doubles(call.table), doubles(call.y))
        let count = call.x.shape[1] * call.x.shape[2]
        for i in 0..<call.x.count {
            let (image, pixel, c) = (i / (3 * count), i / 3 % count, i % 3)
            out[(image * 3 + c) * count + pixel] = table[256 * c + Int(pixels[i])]
        }
    }

    func patchify(_ call: Kernel.Patchify) {
        let (a, out) = (doubles(call.images), doubles(call.y))
        Self.eachPatchValue(call.images.shape, call.patch) { pixel, position in out[position] = a[pixel] }
    }

    func patchifyGradient(_ call: Kernel.PatchifyGradient) {
        let (d, out) = (doubles(call.dy), doubles(call.dImages))
        fill(call.dImages, 0)
        Self.eachPatchValue(call.dImages.shape, call.patch) { pixel, position in out[pixel] = d[position] }
    }

    private static func eachPatchValue(_ shape: [Int], _ patch: Int, _ body: (Int, Int) -> Void) {
        let (channels, height, width) = (shape[1], shape[2], shape[3])
        var position = 0
        for image in 0..<shape[0] {
            for top in 0..<height / patch {
                for left in 0..<width / patch {
                    for c in 0..<channels {
                        for i in 0..<patch {
                            for j in 0..<patch {
                                let row = (image * channels + c) * height + top * patch + i
                                body(row * width + left * patch + j, position)
                                position += 1
                            }
                        }
                    }
                }
            }
        }
    }
}
