import CKernels
import COpenBLAS
import TensorCore

extension CPUDevice {
    public func matmul(
        _ a: Tensor, transposed aT: Bool, _ b: Tensor, transposed bT: Bool, into c: Tensor, _ epilogue: Epilogue
    ) {
        let (m, n) = (c.shape[0], c.shape[1])
        let k = aT ? a.shape[0] : a.shape[1]
        let (x, w, out) = (floats(a), floats(b), floats(c))
        let bias = epilogue.bias.map(floats)
        let residual = epilogue.residual.map(floats)
        let preactivation = epilogue.preactivation.map(floats)
        let hasEpilogue = bias != nil || residual != nil || epilogue.activation != nil
        let tile = GemmTile(m: m, n: n, k: k)
        threads.each(tile.count) { index in
            let (rows, columns) = tile[index]
            let corner = rows.lowerBound * n + columns.lowerBound
            let aStart = aT ? rows.lowerBound : rows.lowerBound * k
            let bStart = bT ? columns.lowerBound * k : columns.lowerBound
            cblas_sgemm(
                CblasRowMajor, aT ? CblasTrans : CblasNoTrans, bT ? CblasTrans : CblasNoTrans, Int32(rows.count),
                Int32(columns.count), Int32(k), 1, x + aStart, Int32(aT ? m : k), w + bStart, Int32(bT ? k : n), 0,
                out + corner, Int32(n))
            guard hasEpilogue else { return }
            ck_epilogue(
                rows.count, columns.count, n, out + corner, bias.map { $0 + columns.lowerBound },
                residual.map { $0 + corner },
                epilogue.activation?.rawValue ?? -1, preactivation.map { $0 + corner })
        }
    }
}

/// How a product is cut among threads: by its shape alone. The inner axis is never cut, so every
/// element is one sum, taken in one order.
struct GemmTile {
    let m: Int
    let n: Int
    private let rowTiles: Int
    private let columnTiles: Int

    init(m: Int, n: Int, k: Int) {
        self.m = m
        self.n = n
        // Below 2 MFLOP a product is not worth a second thread.
        guard m * n * k >= 1 << 20 else {
            (rowTiles, columnTiles) = (1, 1)
            return
        }
        // Tall products go by rows. What few rows there are of a wide one, by columns.
        let rows = max(1, (m + 255) / 256)
        rowTiles = rows == 1 ? (m >= 64 && n <= 1024 ? 2 : 1) : rows + rows % 2
        columnTiles = rowTiles >= 4 ? 1 : max(1, n / 512)
    }

    var count: Int { rowTiles * columnTiles }

    subscript(index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        (Self.part(index / columnTiles, of: rowTiles, m), Self.part(index % columnTiles, of: columnTiles, n))
    }

    /// The index-th of `count` nearly equal parts, boundaries at multiples of 16.
    private static func part(_ index: Int, of count: Int, _ total: Int) -> Range<Int> {
        func boundary(_ i: Int) -> Int { i == count ? total : min(total, (total * i / count + 15) / 16 * 16) }
        return boundary(index)..<boundary(index + 1)
    }
}
