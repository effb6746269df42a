import TensorCore

/// The truth that every device is tested against: slow, obvious kernels, computed and stored in Double.
public final class ReferenceDevice: Device, @unchecked Sendable {
    public init() {}

    public var name: String { "reference (double precision)" }

    public func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer {
        let size = element == .float32 ? MemoryLayout<Double>.stride : MemoryLayout<Int32>.stride
        return .allocate(byteCount: max(1, count) * size, alignment: 64)
    }

    public func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) { address.deallocate() }

    public func upload(_ values: UnsafeBufferPointer<Float>, into y: Tensor) {
        let out = doubles(y)
        for i in 0..<values.count { out[i] = Double(values[i]) }
    }

    public func upload(_ values: [Int32], into y: Tensor) {
        let out = integers(y)
        for i in values.indices { out[i] = values[i] }
    }

    public func withFloats(_ x: Tensor, _ body: (UnsafeBufferPointer<Float>) -> Void) {
        downloadDoubles(x).map(Float.init).withUnsafeBufferPointer(body)
    }

    public func downloadIntegers(_ x: Tensor) -> [Int32] {
        Array(UnsafeBufferPointer(start: integers(x), count: x.count))
    }

    /// The values at full precision, for finite differences.
    public func downloadDoubles(_ x: Tensor) -> [Double] {
        Array(UnsafeBufferPointer(start: doubles(x), count: x.count))
    }

    /// A tensor of values at full precision.
    public func tensor(doubles values: [Double], shape: [Int]) -> Tensor {
        let result = empty(shape)
        let out = doubles(result)
        for i in values.indices { out[i] = values[i] }
        return result
    }

    func doubles(_ x: Tensor) -> UnsafeMutablePointer<Double> {
        precondition(x.element == .float32, "a float32 tensor is needed here")
        return x.storage.address.assumingMemoryBound(to: Double.self) + x.offset
    }

    func integers(_ x: Tensor) -> UnsafeMutablePointer<Int32> {
        precondition(x.element == .int32, "an int32 tensor is needed here")
        return x.storage.address.assumingMemoryBound(to: Int32.self) + x.offset
    }
}
