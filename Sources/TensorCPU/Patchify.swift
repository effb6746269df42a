import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    func normalizePixels(_ call: Kernel.NormalizePixels) {
        let (pixels, table, out) = (bytes(call.x), floats(call.table), floats(call.y))
        let count = call.x.shape[1] * call.x.shape[2]
        threads.each(call.x.shape[0]) { image in
            ck_normalize_pixels(count, pixels + image * count * 3, table, out + image * count * 3)
        }
    }

    func patchify(_ call: Kernel.Patchify) {
        let (a, out, patch) = (floats(call.images), floats(call.y), call.patch)
        eachPatchRow(call.images.shape, patch) { pixel, position in memcpy(out + position, a + pixel, patch * 4) }
    }

    func patchifyGradient(_ call: Kernel.PatchifyGradient) {
        let (d, out, patch) = (floats(call.dy), floats(call.dImages), call.patch)
        fill(call.dImages, 0)
        eachPatchRow(call.dImages.shape, patch) { pixel, position in memcpy(out + pixel, d + position, patch * 4) }
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
