import CCUDA
import TensorCore

extension CUDADevice {
    /// c = a b with bias and residual by cuBLASLt; activations and slopes are passes of our own behind it.
    func product(_ call: Kernel.Product) {
        let epilogue = call.epilogue
        let sum = epilogue.preactivation ?? call.c
        precondition(call.a.matrix.element == call.b.matrix.element, "the operands of a product are of one element")
        multiply(call.a, call.b, bias: epilogue.bias, residual: epilogue.residual, into: sum)
        if let activation = epilogue.activation { activate(activation, sum, into: call.c) }
        if let (kind, z) = epilogue.slope {
            slope(kind, call.c, z, sums: epilogue.sums)
        } else if let sums = epilogue.sums {
            sumRows(call.c, into: sums, factor: 1)
        }
    }

    /// y [m,n] = a b (+ bias) (+ residual, which may be y)
    func multiply(_ a: Factor, _ b: Factor, bias: Tensor? = nil, residual: Tensor? = nil, into y: Tensor) {
        precondition((bias?.element ?? y.element) == y.element, "a bias is of the result's element")
        precondition((residual?.element ?? y.element) == y.element, "a residual is of the result's element")
        guard failure == nil, y.count > 0 else { return }
        let operands = ProductOperands(
            a: address(a.matrix), b: address(b.matrix), bias: address(bias), residual: address(residual), c: address(y))
        var product = ccuda_product()
        (product.m, product.n, product.k) = (Int32(y.shape[0]), Int32(y.shape[1]), Int32(a.columns))
        (product.transposed_a, product.transposed_b) = (a.isTransposed ? 1 : 0, b.isTransposed ? 1 : 0)
        (product.operands, product.result) = (a.matrix.element == .bfloat16 ? 1 : 0, y.element == .bfloat16 ? 1 : 0)
        (product.bias, product.adds) = (bias == nil ? 0 : 1, residual == nil ? 0 : 1)
        product.tf32 = precision == .fp32 ? 0 : 1
        (product.aligned_a, product.aligned_b) = (Self.alignment(operands.a), Self.alignment(operands.b))
        (product.aligned_c, product.aligned_residual) = (Self.alignment(operands.c), Self.alignment(operands.residual))
        backend.product(product, operands)
    }

    /// The largest power of two, up to 256, that the address is a multiple of.
    private static func alignment(_ address: UInt) -> Int32 { 1 << Int32(min(8, address.trailingZeroBitCount)) }
}
