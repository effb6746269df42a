/// Cuts images into patches: [B,3,H,W] -> [B * (H/p) * (W/p), 3pp], values in the order of a
/// convolution kernel [3,p,p]. Rows and columns left over at the far edges are dropped.
public func patchify(_ images: Tensor, patch: Int) -> Tensor {
    precondition(images.shape.count == 4, "patchify needs [B,C,H,W], got \(images.shape)")
    let (b, c, h, w) = (images.shape[0], images.shape[1], images.shape[2], images.shape[3])
    precondition(h >= patch && w >= patch, "an image of \(w)x\(h) has no patch of \(patch)")
    let y = images.device.empty([b * (h / patch) * (w / patch), c * patch * patch])
    images.device.patchify(images, patch: patch, into: y)
    return y.recorded(from: [images]) { [shape = images.shape] dy in
        let dx = dy.device.empty(shape)
        dy.device.patchifyGradient(dy, patch: patch, into: dx)
        return [dx]
    }
}
