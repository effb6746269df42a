import TensorCore

extension ReferenceDevice {
    public func patchify(_ images: Tensor, patch: Int, into y: Tensor) {
        let (a, out) = (doubles(images), doubles(y))
        Self.eachPatchValue(images.shape, patch) { pixel, position in out[position] = a[pixel] }
    }

    public func patchifyGradient(_ dy: Tensor, patch: Int, into dImages: Tensor) {
        let (d, out) = (doubles(dy), doubles(dImages))
        fill(dImages, 0)
        Self.eachPatchValue(dImages.shape, patch) { pixel, position in out[pixel] = d[position] }
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
