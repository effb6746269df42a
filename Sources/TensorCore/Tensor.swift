/// Element types that devices compute with. Files may hold others (see `Weights`).
public enum Element: Sendable { case float32, int32 }

/// Device memory of one or more tensors; freed when the last of them goes.
public final class Storage: @unchecked Sendable {
    public let device: any Device
    public let element: Element
    /// Elements, not bytes: a device may hold a float32 in more than four (the reference device does).
    public let count: Int
    public let address: UnsafeMutableRawPointer

    init(device: any Device, element: Element, count: Int) {
        self.device = device
        self.element = element
        self.count = count
        address = device.allocate(element, count: count)
    }

    deinit { device.release(address, element, count: count) }
}

/// A dense row-major array on a device. Values never change once an operation has returned them; the
/// exceptions are the optimiser's in-place update, and gradient sums and an MLP's pre-activation that nobody else can see.
public struct Tensor: Sendable {
    public let shape: [Int]
    public let storage: Storage
    /// First element inside the storage.
    public let offset: Int
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

    public var device: any Device { storage.device }
    public var element: Element { storage.element }
    public var count: Int { shape.reduce(1, *) }

    /// Rows when seen as a matrix: everything but the last axis.
    public var rows: Int { shape.isEmpty ? 1 : shape.dropLast().reduce(1, *) }

    /// The last axis.
    public var columns: Int { shape.last ?? 1 }

    /// The same values without a history: no gradient flows through it.
    public var detached: Tensor { Tensor(storage: storage, shape: shape, offset: offset) }

    /// What an operation holds of its input until its gradient is due.
    var kept: @Sendable () -> Tensor {
        if let remake { return remake }
        return { [values = detached] in values }
    }

    /// The values on the host, row-major.
    public var floats: [Float] {
        var values: [Float] = []
        device.withFloats(self) { values = Array($0) }
        return values
    }

    /// The values without a copy of them, for the time of the call.
    public func withFloats(_ body: (UnsafeBufferPointer<Float>) -> Void) { device.withFloats(self, body) }

    /// The single value of a one-element tensor.
    public var scalar: Float {
        precondition(count == 1, "scalar needs one element, the shape is \(shape)")
        return floats[0]
    }
}

extension Device {
    public func tensor(_ values: [Float], shape: [Int]) -> Tensor {
        let result = empty(shape)
        precondition(values.count == result.count, "\(values.count) values do not fill shape \(shape)")
        values.withUnsafeBufferPointer { upload($0, into: result) }
        return result
    }

    public func tensor(_ values: [Int32], shape: [Int]) -> Tensor {
        let result = Tensor(storage: Storage(device: self, element: .int32, count: values.count), shape: shape)
        precondition(values.count == result.count, "\(values.count) values do not fill shape \(shape)")
        upload(values, into: result)
        return result
    }

    /// Uninitialised float32 memory of this shape.
    package func empty(_ shape: [Int]) -> Tensor {
        Tensor(storage: Storage(device: self, element: .float32, count: shape.reduce(1, *)), shape: shape)
    }

    public func filled(_ value: Float, shape: [Int]) -> Tensor {
        let result = empty(shape)
        fill(result, value)
        return result
    }

    public func zeros(_ shape: [Int]) -> Tensor { filled(0, shape: shape) }
}
