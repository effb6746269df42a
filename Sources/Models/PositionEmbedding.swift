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
        let across = Weights(from: side, to: columns)
        let down = Weights(from: side, to: height)
        let grid = Array(table[(prefix * width)...])
        // [side,side,width] -> [side,columns,width] -> [height,columns,width]
        var middle = [Float](repeating: 0, count: side * columns * width)
        for y in 0..<side {
            for x in 0..<columns {
                across.each(x) { source, weight in
                    for d in 0..<width {
                        middle[(y * columns + x) * width + d] += weight * grid[(y * side + source) * width + d]
                    }
                }
            }
        }
        var result = Array(table[..<(prefix * width)])
        result.reserveCapacity((prefix + height * columns) * width)
        for y in 0..<height {
            var row = [Float](repeating: 0, count: columns * width)
            down.each(y) { source, weight in
                for i in row.indices { row[i] += weight * middle[source * columns * width + i] }
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

    /// Keys' cubic with a = -0.5 over the source pixels of each output, widened when the size shrinks.
    private struct Weights {
        private var starts: [Int] = []
        private var weights: [[Float]] = []

        init(from source: Int, to target: Int) {
            let ratio = Double(source) / Double(target)
            let stretch = max(1, ratio)
            for output in 0..<target {
                let centre = ratio * (Double(output) + 0.5)
                let first = max(0, Int(centre - 2 * stretch + 0.5))
                let last = min(source, Int(centre + 2 * stretch + 0.5))
                let raw = (first..<last).map { Self.cubic((Double($0) - centre + 0.5) / stretch) }
                let sum = raw.reduce(0, +)
                starts.append(first)
                weights.append(raw.map { Float($0 / sum) })
            }
        }

        func each(_ output: Int, _ body: (Int, Float) -> Void) {
            for (offset, weight) in weights[output].enumerated() { body(starts[output] + offset, weight) }
        }

        private static func cubic(_ x: Double) -> Double {
            let (t, a) = (abs(x), -0.5)
            if t < 1 { return ((a + 2) * t - (a + 3)) * t * t + 1 }
            if t < 2 { return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a }
            return 0
        }
    }
}
