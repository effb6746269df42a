package import TensorCore

/// The truth that every device is tested against: slow, obvious kernels, computed and stored in Double.
package final class ReferenceDevice: Device, @unchecked Sendable {
    package init() {}

    package var name: String { "reference (double precision)" }

    package func allocate(_ element: Element, count: Int) -> UnsafeMutableRawPointer {
        .allocate(byteCount: max(1, count) * Self.stride(element), alignment: 64)
    }

    package func release(_ address: UnsafeMutableRawPointer, _ element: Element, count: Int) { address.deallocate() }

    /// Bytes of a value here: every real number is a Double.
    private static func stride(_ element: Element) -> Int {
        switch element {
        case .float32, .bfloat16, .float64: 8
        case .int32: 4
        case .uint8: 1
        }
    }

    package func upload(_ values: UnsafeRawBufferPointer, into y: Tensor) {
        switch y.element {
        case .float32: set(y, to: values.bindMemory(to: Float.self).lazy.map(Double.init))
        case .bfloat16: set(y, to: values.bindMemory(to: UInt16.self).lazy.map { Double(BFloat16.float($0)) })
        case .float64: set(y, to: values.bindMemory(to: Double.self))
        case .int32, .uint8:
            let start = y.storage.address + y.offset * Self.stride(y.element)
            UnsafeMutableRawBufferPointer(start: start, count: values.count).copyMemory(from: values)
        }
    }

    private func set(_ y: Tensor, to values: some Sequence<Double>) {
        let out = doubles(y)
        for (i, value) in values.enumerated() { out[i] = value }
    }

    package func withValues(of x: Tensor, _ body: (UnsafeRawBufferPointer) -> Void) {
        switch x.element {
        case .float32: downloadDoubles(x).map(Float.init).withUnsafeBytes(body)
        case .bfloat16: downloadDoubles(x).map { BFloat16.bits(Float($0)) }.withUnsafeBytes(body)
        case .float64: downloadDoubles(x).withUnsafeBytes(body)
        case .int32, .uint8:
            let stride = Self.stride(x.element)
            body(UnsafeRawBufferPointer(start: x.storage.address + x.offset * stride, count: x.count * stride))
        }
    }

    /// At full precision.
    package func read(_ scalars: [Tensor]) -> Pending {
        let values = scalars.map { doubles($0)[0] }
        return Pending { values }
    }

    package func fence() {}
    package var failure: DeviceFailure? { nil }

    /// bfloat16 is a Double rounded after every call.
    package func supports(_ call: any KernelCall.Type, _ element: Element) -> Bool { element.isReal }

    /// The values at full precision, for finite differences.
    package func downloadDoubles(_ x: Tensor) -> [Double] {
        Array(UnsafeBufferPointer(start: doubles(x), count: x.count))
    }

    /// A tensor of values at full precision.
    package func tensor(doubles values: [Double], shape: [Int]) -> Tensor {
        let result = empty(shape)
        let out = doubles(result)
        for i in values.indices { out[i] = values[i] }
        return result
    }

    func doubles(_ x: Tensor) -> UnsafeMutablePointer<Double> {
        precondition(x.element.isReal || x.element == .float64, "a tensor of real numbers is needed here")
        return x.storage.address.assumingMemoryBound(to: Double.self) + x.offset
    }

    func bytes(_ x: Tensor) -> UnsafePointer<UInt8> {
        precondition(x.element == .uint8, "a uint8 tensor is needed here")
        return UnsafePointer(x.storage.address.assumingMemoryBound(to: UInt8.self) + x.offset)
    }
}
