/// The kernel contract: everything a device must do. Outputs are allocated by the operations in Ops/
/// and passed in, float32 unless said otherwise, row-major; kernels fill them and, but for `Epilogue.slope`, change nothing else.
///
/// A device keeps one promise beyond the arithmetic: the same inputs give the same bits on the same
/// kind of machine, for any number of threads.
public protocol Device: AnyObject, Sendable {
    var name: String { get }

    // Memory
    func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer
    func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int)
    func upload(_ values: UnsafeBufferPointer<Float>, into y: Tensor)
    func upload(_ values: [Int32], into y: Tensor)
    /// The values on the host, for the time of the call.
    func withFloats(_ x: Tensor, _ body: (UnsafeBufferPointer<Float>) -> Void)
    func downloadIntegers(_ x: Tensor) -> [Int32]

    // Pointwise
    func fill(_ y: Tensor, _ value: Float)
    func copy(_ x: Tensor, into y: Tensor)
    func add(_ a: Tensor, _ b: Tensor, into y: Tensor)
    /// y += factor * x
    func accumulate(_ x: Tensor, times factor: Float, into y: Tensor)
    func scale(_ x: Tensor, by factor: Float, into y: Tensor)
    func multiply(_ a: Tensor, _ b: Tensor, into y: Tensor)
    func activate(_ kind: Activation, _ x: Tensor, into y: Tensor)
    /// dx = dy * activation'(x)
    func activateGradient(_ kind: Activation, _ x: Tensor, _ dy: Tensor, into dx: Tensor)

    // Reductions
    /// y[n] = sum over rows of x[., n]
    func sumRows(_ x: Tensor, into y: Tensor)
    /// The sum of squares of all elements, in double precision.
    func sumOfSquares(_ x: Tensor) -> Double
    /// y[s] = mean of the rows of sequence s
    func segmentMean(_ x: Tensor, _ segments: Segments, into y: Tensor)
    func segmentMeanGradient(_ dy: Tensor, _ segments: Segments, into dx: Tensor)

    // Products
    /// c = op(a) op(b), then the epilogue.
    func matmul(
        _ a: Tensor, transposed aT: Bool, _ b: Tensor, transposed bT: Bool, into c: Tensor, _ epilogue: Epilogue)

    // Rows by index (indices int32)
    /// y[i] = x[indices[i]] (+ addend[i])
    func gatherRows(_ x: Tensor, _ indices: Tensor, addend: Tensor?, into y: Tensor)
    /// dx = 0, then dx[indices[i]] += dy[i] in the order of i
    func scatterAddRows(_ dy: Tensor, _ indices: Tensor, into dx: Tensor)

    // Normalisation
    /// Rows of x to mean 0 and variance 1 (biased), then weight and bias. mean, reciprocal: [rows].
    func layerNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, into y: Tensor, mean: Tensor, reciprocal: Tensor)
    func layerNormGradient(
        _ x: Tensor, weight: Tensor, mean: Tensor, reciprocal: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor,
        dBias: Tensor)
    /// y = x / max(|x|, 1e-12) by row; norms: [rows].
    func normalizeRows(_ x: Tensor, into y: Tensor, norms: Tensor)
    func normalizeRowsGradient(_ y: Tensor, norms: Tensor, _ dy: Tensor, into dx: Tensor)

    /// Mean and biased variance of every column of x [N,C].
    func columnMoments(_ x: Tensor, mean: Tensor, variance: Tensor)
    /// y = (x - mean) / sqrt(variance + epsilon) weight + bias by column
    func batchNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, into y: Tensor)
    /// isOfBatch: mean and variance came from x, and gradients flow through them.
    func batchNormGradient(
        _ x: Tensor, weight: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, isOfBatch: Bool, _ dy: Tensor,
        into dx: Tensor, dWeight: Tensor, dBias: Tensor)

    // Attention: softmax(scale q k^T) v for every sequence and head, never holding all scores.
    func attention(_ inputs: AttentionInputs, into y: Tensor, logSumExp: Tensor)
    /// dQuery, dKey and dValue are blocks of tensors laid out as the inputs.
    func attentionGradient(
        _ inputs: AttentionInputs, y: Tensor, logSumExp: Tensor, _ dy: Tensor, dQuery: ColumnBlock, dKey: ColumnBlock,
        dValue: ColumnBlock)

    // Images
    /// [B,3,H,W] -> [B * (H/p) * (W/p), 3pp], rows and columns left over at the far edges dropped.
    func patchify(_ images: Tensor, patch: Int, into y: Tensor)
    func patchifyGradient(_ dy: Tensor, patch: Int, into dImages: Tensor)

    // Convolutions (see Convolution.swift)
    func unfold(_ x: Tensor, _ windows: Windows, into y: Tensor)
    func unfoldGradient(_ dy: Tensor, _ windows: Windows, into dx: Tensor)
    func depthwise(_ x: Tensor, _ windows: Windows, weight: Tensor, bias: Tensor, into y: Tensor)
    func depthwiseGradient(
        _ x: Tensor, _ windows: Windows, weight: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor)

    // Objectives (see Contrastive.swift)
    func contrastive(_ inputs: ContrastiveInputs, into results: ContrastiveResults)

    // Optimiser
    /// One AdamW step on `parameter`, `mean` and `square` in place.
    func adamW(_ parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, _ step: AdamWStep)
}

/// Pointwise non-linearities.
public enum Activation: Int32, Sendable, CaseIterable {
    /// x sigmoid(1.702 x): OpenAI's and MetaCLIP's weights.
    case quickGELU = 0
    /// x Phi(x), by the error function.
    case gelu = 1
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    case geluTanh = 2
    case relu = 3
}

/// What happens to a block of a product while it is in cache: c = product (+ bias) (+ residual), and
/// with an activation that sum goes to `preactivation` (when asked for) and c holds its activation.
public struct Epilogue: Sendable {
    public var bias: Tensor?
    public var activation: Activation?
    public var preactivation: Tensor?
    public var residual: Tensor?
    /// Multiply by the activation's slope at these pre-activations, which then become the activation's values;
    /// excludes `activation`.
    public var slope: (activation: Activation, preactivation: Tensor)?

    public var isEmpty: Bool {
        bias == nil && activation == nil && preactivation == nil && residual == nil && slope == nil
    }

    public init(
        bias: Tensor? = nil, activation: Activation? = nil, preactivation: Tensor? = nil, residual: Tensor? = nil,
        slope: (activation: Activation, preactivation: Tensor)? = nil
    ) {
        self.slope = slope
        self.bias = bias
        self.activation = activation
        self.preactivation = preactivation
        self.residual = residual
    }
}

/// Columns start..<start + width of a matrix: q, k or v inside a packed [N, 3D].
public struct ColumnBlock: Sendable {
    public let tensor: Tensor
    public let start: Int
    public let width: Int
}

public struct AttentionInputs: Sendable {
    public let query: ColumnBlock
    public let key: ColumnBlock
    public let value: ColumnBlock
    public let querySegments: Segments
    public let keySegments: Segments
    public let heads: Int
    /// Token i sees tokens 0...i only.
    public let causal: Bool

    public var headWidth: Int { query.width / heads }
    public var scale: Float { 1 / Float(headWidth).squareRoot() }
}

public enum ContrastiveKind: Sendable { case softmax, sigmoid }

public struct ContrastiveInputs: Sendable {
    public let kind: ContrastiveKind
    /// [B,E], unit rows
    public let images: Tensor
    /// [B,E], unit rows
    public let texts: Tensor
    /// The logarithm of the logit scale, one element
    public let logScale: Tensor
    /// One element; nil means 0
    public let logitBias: Tensor?
}

/// The loss and all its gradients, filled in one go.
public struct ContrastiveResults: Sendable {
    public let loss: Tensor
    public let dImages: Tensor
    public let dTexts: Tensor
    public let dLogScale: Tensor
    /// Zero for softmax, which no bias changes.
    public let dBias: Tensor
}

/// Hyper-parameters of one AdamW step, bias corrections included.
public struct AdamWStep: Sendable {
    public let rate: Double
    public let beta1: Double
    public let beta2: Double
    public let epsilon: Double
    public let weightDecay: Double
    /// Counted from 1.
    public let step: Int
    /// Gradients are multiplied by this first (clipping).
    public let gradientFactor: Double

    public init(
        rate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, step: Int,
        gradientFactor: Double
    ) {
        self.rate = rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.step = step
        self.gradientFactor = gradientFactor
    }
}
