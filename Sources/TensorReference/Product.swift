import TensorCore

extension ReferenceDevice {
    func product(_ call: Kernel.Product) {
        let (x, w, out) = (doubles(call.a.matrix), doubles(call.b.matrix), doubles(call.c))
        let ((m, n, k), epilogue) = (call.size, call.epilogue)
        let (aRow, aColumn) = call.a.isTransposed ? (1, m) : (k, 1)
        let (bRow, bColumn) = call.b.isTransposed ? (1, k) : (n, 1)
        let bias = epilogue.bias.map(doubles)
        let residual = epilogue.residual.map(doubles)
        let preactivation = epilogue.preactivation.map(doubles)
        for i in 0..<m {
            for j in 0..<n {
                var sum = 0.0
                for l in 0..<k { sum += x[i * aRow + l * aColumn] * w[l * bRow + j * bColumn] }
                sum += (bias?[j] ?? 0) + (residual?[i * n + j] ?? 0)
                preactivation?[i * n + j] = sum
                if let slope = epilogue.slope {
                    let at = doubles(slope.preactivation) + i * n + j
                    let result = Self.activation(slope.activation, at.pointee)
                    sum *= result.slope
                    at.pointee = result.value
                }
                out[i * n + j] = epilogue.activation.map { Self.activation($0, sum).value } ?? sum
            }
        }
        if let sums = epilogue.sums.map(doubles) {
            for j in 0..<n { sums[j] = (0..<m).reduce(0) { $0 + out[$1 * n + j] } }
        }
    }
}
