import Images

/// Position embeddings for another resolution or context length, as open_clip resizes them when it loads weights.
package enum PositionEmbedding {
    /// A square grid to another grid, bicubic (a = -0.5) with antialiasing, corners not aligned.
    ///
    /// - Parameters:
    ///   - table: [prefix + side * side, width]; the first `prefix` rows (the class token's) are copied
    /// - Returns: [prefix + height * width', width]; nil when the table is no square grid
    package static func resized(
        _ table: [Float], width: Int, prefix: Int, toHeight height: Int, width columns: Int
    ) -> [Float]? {
        let count = table.count / width - prefix
        let side = Int(Double(count).squareRoot().rounded())
        guard side > 0, side * side == count else { return nil }
        let across = ResampleTaps(from: side, to: columns, .bicubic)
        let down = ResampleTaps(from: side, to: height, .bicubic)
        let grid = Array(table[(prefix * width)...])
        // [side,side,width] -> [side,columns,width] -> [height,columns,width]
        var middle = [Float](repeating: 0, count: side * columns * width)
        for y in 0..<side {
            for x in 0..<columns {
                let tap = across[x]
                for (source, weight) in zip(tap.first..., tap.weights) {
                    for d in 0..<width {
                        middle[(y * columns + x) * width + d] += Float(weight) * grid[(y * side + source) * width + d]
                    }
                }
            }
        }
        var result = Array(table[..<(prefix * width)])
        result.reserveCapacity((prefix + height * columns) * width)
        for y in 0..<height {
            var row = [Float](repeating: 0, count: columns * width)
            let tap = down[y]
            for (source, weight) in zip(tap.first..., tap.weights) {
                for i in row.indices { row[i] += Float(weight) * middle[source * columns * width + i] }
            }
            result += row
        }
        return result
    }

    /// A text's positions [rows, width], linear, corners not aligned.
    package static func resized(_ table: [Float], width: Int, toRows rows: Int) -> [Float] {
        let count = table.count / width
        let ratio = Double(count) / Double(rows)
        return (0..<rows).flatMap { row -> [Float] in
            let at = max(0, (Double(row) + 0.5) * ratio - 0.5)
            let first = min(count - 1, Int(at))
            let second = min(count - 1, first + 1)
            let share = Float(at - Double(first))
            return (0..<width).map {
                (1 - share) * table[first * width + $0] + share * table[second * width + $0]
            }
        }
    }
}
