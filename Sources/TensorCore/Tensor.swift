/// A dense row-major array on a device. Values never change once an operation has returned them; the
/// exceptions are the optimiser's in-place update, and gradient sums and an MLP's pre-activation that nobody else can see.
package struct Tensor: Sendable {
    package let shape: [Int]
    package let storage: Storage
    /// First element inside the storage.
    package let offset: Int
    /// Where gradients flow to; nil for a constant.
    package var node: Node?
    /// Makes the values again, bit for bit, from others that are kept anyway and for less than it costs to keep them.
    var remake: (@Sendable () -> Tensor)?

    package init(storage: Storage, shape: [Int], offset: Int = 0, node: Node? = nil) {
        self.storage = storage
        self.shape = shape
        self.offset = offset
        self.node = node
    }

    package var device: any Device { storage.device }
    package var element: Element { storage.element }
    package var count: Int { shape.reduce(1, *) }

    /// Rows when seen as a matrix: everything but the last axis.
    package var rows: Int { shape.isEmpty ? 1 : shape.dropLast().reduce(1, *) }

    /// The last axis.
    package var columns: Int { shape.last ?? 1 }

    /// The same values without a history: no gradient flows through it.
    package var detached: Tensor { Tensor(storage: storage, shape: shape, offset: offset) }

    /// What an operation holds of its input until its gradient is due.
    var kept: @Sendable () -> Tensor {
        if let remake { return remake }
        return { [values = detached] in values }
    }

    /// Uninitialised memory of this shape beside this tensor, and of its element: what an operation gives follows what it
    /// is given.
    func empty(_ shape: [Int]) -> Tensor { device.empty(shape, element) }

    func empty(like other: Tensor) -> Tensor { empty(other.shape) }

    /// The values on the host, row-major. Waits.
    package var floats: [Float] {
        var values: [Float] = []
        switch element {
        case .float32: withFloats { values = Array($0) }
        case .bfloat16:
            device.withValues(of: self) { bytes in
                values = bytes.bindMemory(to: UInt16.self).map(BFloat16.float)
            }
        case .uint8: device.withValues(of: self) { values = $0.map(Float.init) }
        case .int32: device.withValues(of: self) { values = $0.bindMemory(to: Int32.self).map(Float.init) }
        case .float64: device.withValues(of: self) { values = $0.bindMemory(to: Double.self).map(Float.init) }
        }
        return values
    }

    /// The float32 values without a copy where the host sees them, for the time of the call. Waits.
    package func withFloats(_ body: (UnsafeBufferPointer<Float>) -> Void) {
        precondition(element == .float32, "a float32 tensor is needed here")
        device.withValues(of: self) { body($0.bindMemory(to: Float.self)) }
    }

    /// The single value of a one-element tensor. Waits.
    package var scalar: Float {
        precondition(count == 1, "scalar needs one element, the shape is \(shape)")
        return floats[0]
    }
}

extension Device {
    /// A float32 tensor of these values, row-major.
    package func tensor(_ values: [Float], shape: [Int]) -> Tensor { made(values, .float32, shape) }

    package func tensor(_ values: [Int32], shape: [Int]) -> Tensor { made(values, .int32, shape) }

    package func tensor(_ values: [UInt8], shape: [Int]) -> Tensor { made(values, .uint8, shape) }

    private func made<Value>(_ values: [Value], _ element: Element, _ shape: [Int]) -> Tensor {
        let result = empty(shape, element)
        precondition(values.count == result.count, "\(values.count) values do not fill shape \(shape)")
        values.withUnsafeBytes { upload($0, into: result) }
        return result
    }

    /// Uninitialised memory of this shape.
    package func empty(_ shape: [Int], _ element: Element = .float32) -> Tensor {
        Tensor(storage: Storage(device: self, element: element, count: shape.reduce(1, *)), shape: shape)
    }

    package func filled(_ value: Float, shape: [Int], _ element: Element = .float32) -> Tensor {
        let result = empty(shape, element)
        run(.fill(.init(y: result, value: value)))
        return result
    }

    package func zeros(_ shape: [Int], _ element: Element = .float32) -> Tensor {
        filled(0, shape: shape, element)
    }
}
