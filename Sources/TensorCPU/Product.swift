import CKernels
import COpenBLAS
import TensorCore

extension CPUDevice {
    func product(_ call: Kernel.Product) {
        let (m, n, k) = call.size
        let (aT, epilogue, out) = (call.a.isTransposed, call.epilogue, floats(call.c))
        let left = MatrixView(floats(call.a.matrix), aT ? m : k, transposed: aT)
        let bT = call.b.isTransposed
        let right = MatrixView(floats(call.b.matrix), bT ? k : n, transposed: bT)
        let slope = epilogue.slope
        let inputs = ck_epilogue_inputs(
            bias: epilogue.bias.map(floats), residual: epilogue.residual.map(floats),
            preactivation: epilogue.preactivation.map(floats), slope_at: (slope?.preactivation).map(floats),
            kind: (slope?.activation ?? epilogue.activation)?.rawValue ?? Int32(CK_NONE))
        // A wide result: each column block is a tile's own, which packs it as it goes. So it is with a long inner axis
        // (a weight's gradient), where to pack apart would move both operands twice.
        let isWide = usesOwnProducts && !aT && n >= 512 && (m <= 1024 || n > m)
        let tile = GemmTile(m: m, n: n, k: k, byColumns: isWide)
        let isLocal = usesOwnProducts && tile.count > 1 && (isWide || (aT && k > 4 * max(m, n)))
        let packed = usesOwnProducts && tile.count > 1 && !isLocal ? pack(right, k: k, n: n) : nil
        threads.each(tile.count) { index in
            let (rows, columns) = tile[index]
            let corner = rows.lowerBound * n + columns.lowerBound
            let ours = left.from(row: rows.lowerBound, column: 0)
            let part = inputs.from(corner: corner, column: columns.lowerBound)
            let theirs = right.from(row: 0, column: columns.lowerBound)
            withUnsafePointer(to: part) { part in
                let part = epilogue.isEmpty ? nil : part
                if isLocal {
                    let scratch = empty([ck_gemm_local_scratch()])
                    ck_gemm_local(
                        rows.count, columns.count, k, ours.start, ours.rowStride, ours.columnStride, theirs.start,
                        theirs.rowStride, theirs.columnStride, out + corner, n, part,
                        floats(scratch))
                } else if let packed {
                    ck_gemm_packed(
                        rows.count, columns.count, k, ours.start, ours.rowStride, ours.columnStride,
                        floats(packed) + columns.lowerBound * k, out + corner, n, part)
                } else {
                    multiply(rows.count, columns.count, k, ours, theirs, into: out + corner, n)
                    if let part { ck_epilogue(rows.count, columns.count, n, out + corner, part) }
                }
            }
        }
        if let sums = epilogue.sums { sumRows(call.c, into: sums) }
    }

    /// b [k,n] in the panels that ck_gemm_packed reads, packed once for all tiles of a product.
    private func pack(_ b: MatrixView, k: Int, n: Int) -> Tensor {
        let packed = empty([(n + 15) / 16 * 16 * k])
        threads.each(k, by: 96) { part in
            ck_gemm_pack(
                part.lowerBound, part.upperBound, k, n, b.start, b.rowStride, b.columnStride, floats(packed))
        }
        return packed
    }

    /// c [m,n] = a b, or c += a b, on the calling thread.
    func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: MatrixView, _ b: MatrixView, into c: UnsafeMutablePointer<Float>, _ ldc: Int,
        adding: Bool = false
    ) {
        if usesOwnProducts && m * n * k <= 1 << 21 {
            ck_gemm_small(
                m, n, k, a.start, a.rowStride, a.columnStride, b.start, b.rowStride, b.columnStride, c, ldc,
                adding ? 1 : 0)
        } else {
            cb_sgemm(
                a.transposed ? 1 : 0, b.transposed ? 1 : 0, Int32(m), Int32(n), Int32(k), a.start, Int32(a.stride),
                b.start, Int32(b.stride), adding ? 1 : 0, c, Int32(ldc))
        }
    }
}

/// A matrix in memory, or the transpose of one; `stride` is between the rows as they are stored.
struct MatrixView {
    let start: UnsafeMutablePointer<Float>
    let stride: Int
    let transposed: Bool

    init(_ start: UnsafeMutablePointer<Float>, _ stride: Int, transposed: Bool = false) {
        (self.start, self.stride, self.transposed) = (start, stride, transposed)
    }

    var rowStride: Int { transposed ? 1 : stride }
    var columnStride: Int { transposed ? stride : 1 }
    var transpose: MatrixView { MatrixView(start, stride, transposed: !transposed) }

    func from(row: Int, column: Int) -> MatrixView {
        MatrixView(start + row * rowStride + column * columnStride, stride, transposed: transposed)
    }
}

extension ck_epilogue_inputs {
    fileprivate func from(corner: Int, column: Int) -> ck_epilogue_inputs {
        ck_epilogue_inputs(
            bias: bias.map { $0 + column }, residual: residual.map { $0 + corner },
            preactivation: preactivation.map { $0 + corner }, slope_at: slope_at.map { $0 + corner }, kind: kind)
    }
}

/// How a product is cut among threads: by its shape alone. The inner axis is never cut among tiles, so
/// every element is one sum, taken in one order.
struct GemmTile {
    let m: Int
    let n: Int
    private let rowTiles: Int
    private let columnTiles: Int

    init(m: Int, n: Int, k: Int, byColumns: Bool) {
        self.m = m
        self.n = n
        // Below 2 MFLOP a product is not worth a second thread.
        guard m * n * k >= 1 << 20 else {
            (rowTiles, columnTiles) = (1, 1)
            return
        }
        guard !byColumns else {
            (rowTiles, columnTiles) = (m > 1024 ? 2 : 1, max(4, n / 192))
            return
        }
        // Tall products go by rows. What few rows there are of a wide one, by columns too.
        let rows = (m + 191) / 192
        rowTiles = rows == 1 ? (m >= 64 ? 2 : 1) : rows + rows % 2
        columnTiles = rowTiles >= 8 ? 1 : max(1, min(16 / rowTiles, n / 192))
    }

    var count: Int { rowTiles * columnTiles }

    subscript(index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        (
            Self.part(index / columnTiles, of: rowTiles, m, step: 6),
            Self.part(index % columnTiles, of: columnTiles, n, step: 16)
        )
    }

    /// The index-th of `count` nearly equal parts, boundaries at multiples of `step`.
    private static func part(_ index: Int, of count: Int, _ total: Int, step: Int) -> Range<Int> {
        func boundary(_ i: Int) -> Int {
            i == count ? total : min(total, (total * i / count + step - 1) / step * step)
        }
        return boundary(index)..<boundary(index + 1)
    }
}
