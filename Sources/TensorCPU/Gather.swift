import CKernels
import Foundation
import TensorCore

extension CPUDevice {
    func gatherRows(_ call: Kernel.GatherRows) {
        let (a, out, n) = (floats(call.x), floats(call.y), call.x.columns)
        let extra = call.addend.map(floats)
        call.indices.values.withUnsafeBufferPointer { index in
            threads.each(index.count, by: Self.rowTile(n)) { range in
                for i in range {
                    let row = a + Int(index[i]) * n
                    if let extra { ck_add(n, row, extra + i * n, out + i * n) } else { memcpy(out + i * n, row, n * 4) }
                }
            }
        }
    }

    func scatterAddRows(_ call: Kernel.ScatterAddRows) {
        let (d, out, n) = (floats(call.dy), floats(call.dx), call.dx.columns)
        // Each tile owns a range of target rows and scans all indices in order.
        let targets = call.dx.shape[0]
        let size = max(1, (targets + 63) / 64)
        call.indices.values.withUnsafeBufferPointer { index in
            threads.each(targets, by: size) { range in
                memset(out + range.lowerBound * n, 0, range.count * n * 4)
                for i in index.indices where range.contains(Int(index[i])) {
                    ck_accumulate(n, 1, d + i * n, out + Int(index[i]) * n)
                }
            }
        }
    }
}
