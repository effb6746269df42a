import TensorCore

extension CUDADevice {
    private func each(_ x: Tensor) -> (Int, Int, Int) { blocks(x.count, of: 2048) }

    func fill(_ y: Tensor, _ value: Float) {
        switch y.element {
        case .float64:
            launch(
                "pointwise", "fill_f64", grid: blocks(y.count, of: 32), threads: 32, address(y), Double(value),
                UInt64(y.count))
        case .float32, .bfloat16:
            guard value != 0 else { return clear(y) }
            launch(
                "pointwise", "fill_\(suffix(y))", grid: each(y), threads: 256, address(y), UInt(0), value, Float(0),
                UInt64(y.count))
        case .int32, .uint8:
            precondition(value == 0, "whole numbers are filled with 0 alone")
            clear(y)
        }
    }

    func clear(_ y: Tensor) {
        if failure == nil { backend.clear(address(y), bytes: y.count * y.element.bytes) }
    }

    func copy(_ x: Tensor, to y: Tensor) {
        precondition(x.element == y.element, "a copy keeps the element")
        if failure == nil { backend.copy(y.count * y.element.bytes, from: address(x), to: address(y)) }
    }

    func convert(_ x: Tensor, to y: Tensor) {
        launch(
            "pointwise", "convert_\(suffix(x))_\(suffix(y))", grid: each(y), threads: 256, address(y), address(x),
            UInt64(y.count))
    }

    private func ofOne(_ name: String, _ x: Tensor, _ y: Tensor, _ p: Float = 0, _ q: Float = 0) {
        launch(
            "pointwise", "\(name)_\(suffix(y))", grid: each(y), threads: 256, address(y), address(x, y.element), p, q,
            UInt64(y.count))
    }

    private func ofTwo(_ name: String, _ a: Tensor, _ b: Tensor, _ y: Tensor, _ p: Float = 0) {
        launch(
            "pointwise", "\(name)_\(suffix(y))", grid: each(y), threads: 256, address(y), address(a, y.element),
            address(b, y.element), p, UInt64(y.count))
    }

    func add(_ call: Kernel.Add) { ofTwo("add", call.a, call.b, call.y) }
    func accumulate(_ call: Kernel.Accumulate) { ofTwo("accumulate", call.y, call.x, call.y, call.factor) }
    func scale(_ call: Kernel.Scale) { ofOne("scale", call.x, call.y, call.factor) }
    func clamp(_ call: Kernel.Clamp) { ofOne("clamp", call.x, call.x, call.low, call.high) }
    func multiply(_ call: Kernel.Multiply) { ofTwo("multiply", call.a, call.b, call.y) }

    func scaleByElement(_ call: Kernel.ScaleByElement) {
        launch(
            "pointwise", "scale_by_element_\(suffix(call.y))", grid: each(call.y), threads: 256, address(call.y),
            address(call.x, call.y.element), address(call.factor, .float32), UInt64(call.y.count))
    }

    func activate(_ kind: Activation, _ x: Tensor, into y: Tensor) { ofOne(kind.kernel, x, y) }

    func activateGradient(_ call: Kernel.ActivateGradient) {
        ofTwo(call.kind.kernel + "_gradient", call.x, call.dy, call.dx)
    }

    /// dz times the slope at z, which becomes the activation's values; the column sums of dz in the same pass.
    func slope(_ kind: Activation, _ dz: Tensor, _ z: Tensor, sums: Tensor?) {
        if let sums, dz.columns % 8 == 0, address(dz) % 16 == 0, address(z) % 16 == 0 {
            let across = (dz.columns + 255) / 256
            let (count, each) = rowParts(dz.rows, columnBlocks: across)
            let parts = scratch(count * dz.columns)
            launch(
                "pointwise", "\(kind.kernel)_slope_sums_\(suffix(dz))", grid: (across, count, 1), threads: 256,
                shared: 8192, address(dz), address(z, dz.element), address(parts), Int32(dz.rows), Int32(dz.columns),
                Int32(each))
            return sumParts(parts, count, into: sums)
        }
        defer { if let sums { sumRows(dz, into: sums, factor: 1) } }
        launch(
            "pointwise", "\(kind.kernel)_slope_\(suffix(dz))", grid: each(dz), threads: 256, address(dz),
            address(z, dz.element), UInt64(dz.count))
    }
}

extension Activation {
    fileprivate var kernel: String {
        switch self {
        case .quickGELU: "quick_gelu"
        case .gelu: "gelu"
        case .geluTanh: "gelu_tanh"
        case .relu: "relu"
        case .tanh: "tanh"
        }
    }
}
