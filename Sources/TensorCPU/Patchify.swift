import Foundation
import TensorCore

extension CPUDevice {
    public func patchify(_ images: Tensor, patch: Int, into y: Tensor) {
        let (a, out) = (floats(images), floats(y))
        eachPatchRow(images.shape, patch) { pixel, position in memcpy(out + position, a + pixel, patch * 4) }
    }

    public func patchifyGradient(_ dy: Tensor, patch: Int, into dImages: Tensor) {
        let (d, out) = (floats(dy), floats(dImages))
        fill(dImages, 0)
        eachPatchRow(dImages.shape, patch) { pixel, position in memcpy(out + pixel, d + position, patch * 4) }
    }

    /// Every row of `patch` pixels: where it begins in the image and in the patch matrix.
    private func eachPatchRow(_ shape: [Int], _ patch: Int, _ body: (Int, Int) -> Void) {
        let (channels, height, width) = (shape[1], shape[2], shape[3])
        let (down, across) = (height / patch, width / patch)
        threads.each(shape[0]) { image in
            for p in 0..<down * across {
                let (top, left) = (p / across * patch, p % across * patch)
                for c in 0..<channels {
                    for i in 0..<patch {
                        let pixel = ((image * channels + c) * height + top + i) * width + left
                        body(pixel, (((image * down * across + p) * channels + c) * patch + i) * patch)
                    }
                }
            }
        }
    }
}
