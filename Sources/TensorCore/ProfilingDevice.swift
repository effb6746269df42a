import Foundation
import Synchronization

/// Another device with the time of every kernel taken.
public final class ProfilingDevice: Device {
    /// What the calls of one kernel (a product: of one shape) came to.
    public struct Entry: Sendable {
        public var calls = 0
        public var seconds = 0.0
        /// 2mnk of its products
        public var flops = 0

        mutating func add(_ seconds: Double, flops: Int) {
            calls += 1
            self.seconds += seconds
            self.flops += flops
        }
    }

    private let inner: any Device
    private let entries = Mutex<[String: Entry]>([:])

    public init(_ inner: any Device) { self.inner = inner }

    public var name: String { inner.name }

    /// What was recorded since the last call, by kernel.
    public func take() -> [String: Entry] {
        entries.withLock { recorded in
            defer { recorded = [:] }
            return recorded
        }
    }

    private func timed<Result>(_ kernel: @autoclosure () -> String, work: Int = 0, _ body: () -> Result) -> Result {
        let start = ContinuousClock.now
        let result = body()
        let elapsed = ContinuousClock.now - start
        entries.withLock { $0[kernel(), default: Entry()].add(elapsed / .seconds(1), flops: work) }
        return result
    }

    public func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer {
        timed("allocate") { inner.allocate(element, count: count) }
    }

    public func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) {
        inner.release(address, element, count: count)
    }

    public func upload(_ values: UnsafeBufferPointer<Float>, into y: Tensor) {
        timed("upload") { inner.upload(values, into: y) }
    }

    public func upload(_ values: [Int32], into y: Tensor) {
        timed("upload") { inner.upload(values, into: y) }
    }

    public func withFloats(_ x: Tensor, _ body: (UnsafeBufferPointer<Float>) -> Void) {
        timed("with floats") { inner.withFloats(x, body) }
    }

    public func downloadIntegers(_ x: Tensor) -> [Int32] {
        timed("download integers") { inner.downloadIntegers(x) }
    }

    public func fill(_ y: Tensor, _ value: Float) {
        timed("fill") { inner.fill(y, value) }
    }

    public func copy(_ x: Tensor, into y: Tensor) {
        timed("copy") { inner.copy(x, into: y) }
    }

    public func add(_ a: Tensor, _ b: Tensor, into y: Tensor) {
        timed("add") { inner.add(a, b, into: y) }
    }

    public func accumulate(_ x: Tensor, times factor: Float, into y: Tensor) {
        timed("accumulate") { inner.accumulate(x, times: factor, into: y) }
    }

    public func scale(_ x: Tensor, by factor: Float, into y: Tensor) {
        timed("scale") { inner.scale(x, by: factor, into: y) }
    }

    public func multiply(_ a: Tensor, _ b: Tensor, into y: Tensor) {
        timed("multiply") { inner.multiply(a, b, into: y) }
    }

    public func activate(_ kind: Activation, _ x: Tensor, into y: Tensor) {
        timed("activate") { inner.activate(kind, x, into: y) }
    }

    public func activateGradient(_ kind: Activation, _ x: Tensor, _ dy: Tensor, into dx: Tensor) {
        timed("activate gradient") { inner.activateGradient(kind, x, dy, into: dx) }
    }

    public func sumRows(_ x: Tensor, into y: Tensor) {
        timed("sum rows") { inner.sumRows(x, into: y) }
    }

    public func sumOfSquares(_ x: Tensor) -> Double {
        timed("sum of squares") { inner.sumOfSquares(x) }
    }

    public func segmentMean(_ x: Tensor, _ segments: Segments, into y: Tensor) {
        timed("segment mean") { inner.segmentMean(x, segments, into: y) }
    }

    public func segmentMeanGradient(_ dy: Tensor, _ segments: Segments, into dx: Tensor) {
        timed("segment mean gradient") { inner.segmentMeanGradient(dy, segments, into: dx) }
    }

    public func matmul(
        _ a: Tensor, transposed aT: Bool, _ b: Tensor, transposed bT: Bool, into c: Tensor, _ epilogue: Epilogue
    ) {
        timed(
            "matmul \(c.shape[0]) x \(c.shape[1]) x \(aT ? a.shape[0] : a.shape[1])\(aT ? ", transposed" : "")",
            work: 2 * c.count * (aT ? a.shape[0] : a.shape[1])
        ) { inner.matmul(a, transposed: aT, b, transposed: bT, into: c, epilogue) }
    }

    public func gatherRows(_ x: Tensor, _ indices: Tensor, addend: Tensor?, into y: Tensor) {
        timed("gather rows") { inner.gatherRows(x, indices, addend: addend, into: y) }
    }

    public func scatterAddRows(_ dy: Tensor, _ indices: Tensor, into dx: Tensor) {
        timed("scatter add rows") { inner.scatterAddRows(dy, indices, into: dx) }
    }

    public func layerNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, into y: Tensor, mean: Tensor, reciprocal: Tensor
    ) {
        timed("layer norm") {
            inner.layerNorm(
                x, weight: weight, bias: bias, epsilon: epsilon, into: y, mean: mean, reciprocal: reciprocal)
        }
    }

    public func layerNormGradient(
        _ x: Tensor, weight: Tensor, mean: Tensor, reciprocal: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor,
        dBias: Tensor
    ) {
        timed("layer norm gradient") {
            inner.layerNormGradient(
                x, weight: weight, mean: mean, reciprocal: reciprocal, dy, into: dx, dWeight: dWeight, dBias: dBias)
        }
    }

    public func normalizeRows(_ x: Tensor, into y: Tensor, norms: Tensor) {
        timed("normalize rows") { inner.normalizeRows(x, into: y, norms: norms) }
    }

    public func normalizeRowsGradient(_ y: Tensor, norms: Tensor, _ dy: Tensor, into dx: Tensor) {
        timed("normalize rows gradient") { inner.normalizeRowsGradient(y, norms: norms, dy, into: dx) }
    }

    public func attention(_ inputs: AttentionInputs, into y: Tensor, logSumExp: Tensor) {
        timed("attention", work: 2 * inputs.productSize) { inner.attention(inputs, into: y, logSumExp: logSumExp) }
    }

    public func attentionGradient(
        _ inputs: AttentionInputs, y: Tensor, logSumExp: Tensor, _ dy: Tensor, dQuery: ColumnBlock, dKey: ColumnBlock,
        dValue: ColumnBlock
    ) {
        timed("attention gradient", work: 4 * inputs.productSize) {
            inner.attentionGradient(inputs, y: y, logSumExp: logSumExp, dy, dQuery: dQuery, dKey: dKey, dValue: dValue)
        }
    }

    public func patchify(_ images: Tensor, patch: Int, into y: Tensor) {
        timed("patchify") { inner.patchify(images, patch: patch, into: y) }
    }

    public func patchifyGradient(_ dy: Tensor, patch: Int, into dImages: Tensor) {
        timed("patchify gradient") { inner.patchifyGradient(dy, patch: patch, into: dImages) }
    }

    public func contrastive(_ inputs: ContrastiveInputs, into results: ContrastiveResults) {
        timed("contrastive", work: 2 * inputs.images.count * inputs.images.rows * (inputs.kind == .softmax ? 4 : 3)) {
            inner.contrastive(inputs, into: results)
        }
    }

    public func adamW(_ parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, _ step: AdamWStep) {
        timed("AdamW") { inner.adamW(parameter, gradient: gradient, mean: mean, square: square, step) }
    }

    public func columnMoments(_ x: Tensor, mean: Tensor, variance: Tensor) {
        timed("column moments") { inner.columnMoments(x, mean: mean, variance: variance) }
    }

    public func batchNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, into y: Tensor
    ) {
        timed("batch norm") {
            inner.batchNorm(x, weight: weight, bias: bias, epsilon: epsilon, mean: mean, variance: variance, into: y)
        }
    }

    public func batchNormGradient(
        _ x: Tensor, weight: Tensor, epsilon: Float, mean: Tensor, variance: Tensor, isOfBatch: Bool, _ dy: Tensor,
        into dx: Tensor, dWeight: Tensor, dBias: Tensor
    ) {
        timed("batch norm gradient") {
            inner.batchNormGradient(
                x, weight: weight, epsilon: epsilon, mean: mean, variance: variance, isOfBatch: isOfBatch, dy, into: dx,
                dWeight: dWeight, dBias: dBias)
        }
    }

    public func unfold(_ x: Tensor, _ windows: Windows, into y: Tensor) {
        timed("unfold") { inner.unfold(x, windows, into: y) }
    }

    public func unfoldGradient(_ dy: Tensor, _ windows: Windows, into dx: Tensor) {
        timed("unfold gradient") { inner.unfoldGradient(dy, windows, into: dx) }
    }

    public func depthwise(_ x: Tensor, _ windows: Windows, weight: Tensor, bias: Tensor, into y: Tensor) {
        timed("depthwise") { inner.depthwise(x, windows, weight: weight, bias: bias, into: y) }
    }

    public func depthwiseGradient(
        _ x: Tensor, _ windows: Windows, weight: Tensor, _ dy: Tensor, into dx: Tensor, dWeight: Tensor
    ) {
        timed("depthwise gradient") {
            inner.depthwiseGradient(x, windows, weight: weight, dy, into: dx, dWeight: dWeight)
        }
    }
}

extension AttentionInputs {
    /// Multiplications and additions of the scores and the weighted sum: 4 T_q T_k width by sequence, here half of it.
    fileprivate var productSize: Int {
        (0..<querySegments.count).reduce(0) { $0 + 2 * querySegments[$1].count * keySegments[$1].count * query.width }
    }
}
