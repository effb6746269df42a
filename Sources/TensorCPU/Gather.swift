import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    public func gatherRows(_ x: Tensor, _ indices: Tensor, addend: Tensor?, into y: Tensor) {
        let (a, index, out, n) = (floats(x), integers(indices), floats(y), x.columns)
        let extra = addend.map(floats)
        threads.each(indices.count, by: Self.rowTile(n)) { range in
            for i in range {
                let row = a + Int(index[i]) * n
                if let extra { ck_add(n, row, extra + i * n, out + i * n) } else { memcpy(out + i * n, row, n * 4) }
            }
        }
    }

    public func scatterAddRows(_ dy: Tensor, _ indices: Tensor, into dx: Tensor) {
        let (d, index, out, n) = (floats(dy), integers(indices), floats(dx), dx.columns)
        // Each tile owns a range of target rows and scans all indices in order.
        let targets = dx.shape[0]
        let size = max(1, (targets + 63) / 64)
        threads.each(targets, by: size) { range in
            memset(out + range.lowerBound * n, 0, range.count * n * 4)
            for i in 0..<indices.count where range.contains(Int(index[i])) {
                ck_accumulate(n, 1, d + i * n, out + Int(index[i]) * n)
            }
        }
    }
}
