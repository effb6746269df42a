/// Cuts images into patches: [B,3,H,W] -> [B * (H/p) * (W/p), 3pp], values in the order of a
/// convolution kernel [3,p,p]. Rows and columns left over at the far edges are dropped.
package func patchify(_ images: Tensor, patch: Int) -> Tensor {
    precondition(images.shape.count == 4, "patchify needs [B,C,H,W], got \(images.shape)")
    let (b, c, h, w) = (images.shape[0], images.shape[1], images.shape[2], images.shape[3])
    precondition(h >= patch && w >= patch, "an image of \(w)x\(h) has no patch of \(patch)")
    let y = images.empty([b * (h / patch) * (w / patch), c * patch * patch])
    images.device.run(.patchify(.init(images: images, patch: patch, y: y)))
    return y.recorded(from: [images]) { [shape = images.shape] dy in
        let dx = dy.empty(shape)
        dy.device.run(.patchifyGradient(.init(dy: dy, patch: patch, dImages: dx)))
        return [dx]
    }
}

/// Bytes to what a tower takes: uint8 [B,H,W,3] -> float32 [B,3,H,W]. Nothing flows through it.
///
/// - Parameter table: [3,256], what each value of each channel becomes
package func normalizePixels(_ pixels: Tensor, by table: Tensor) -> Tensor {
    precondition(
        pixels.shape.count == 4 && pixels.columns == 3 && pixels.element == .uint8 && table.shape == [3, 256],
        "normalizePixels needs bytes [B,H,W,3] and a table [3,256], got \(pixels.shape), \(table.shape)")
    let y = pixels.device.empty([pixels.shape[0], 3, pixels.shape[1], pixels.shape[2]])
    y.device.run(.normalizePixels(.init(x: pixels, table: table, y: y)))
    return y
}
