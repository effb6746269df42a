package import TensorCore

/// What training minimises, over all pairs of a batch.
package enum Objective: String, Sendable, CaseIterable {
    /// CLIP: Radford et al. 2021, arXiv:2103.00020. Starts near ln B nats.
    case softmax
    /// SigLIP: Zhai et al. 2023, arXiv:2303.15343, eq. 1. With scale 10 and bias -10 it starts near 10 nats.
    case sigmoid

    /// - Parameters:
    ///   - images: [B,E], unit rows
    ///   - texts: [B,E], unit rows; row i belongs to image i
    ///   - logScale: the logarithm of the logit scale
    ///   - logitBias: added to every logit; softmax does not use it
    /// - Returns: [], nats per image
    package func loss(images: Tensor, texts: Tensor, logScale: Tensor, logitBias: Tensor?) -> Tensor {
        switch self {
        case .softmax: contrastiveLoss(.softmax, images: images, texts: texts, logScale: logScale, logitBias: nil)
        case .sigmoid: contrastiveLoss(.sigmoid, images: images, texts: texts, logScale: logScale, logitBias: logitBias)
        }
    }

    /// The logit scale's logarithm and the bias that the papers start with.
    package var start: (logScale: Double, logitBias: Double?) {
        switch self {
        case .softmax: (2.6592600369327783, nil)  // ln(1 / 0.07)
        case .sigmoid: (2.302585092994046, -10)  // ln 10
        }
    }
}
