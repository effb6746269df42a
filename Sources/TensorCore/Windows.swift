/// Which pixels of a feature map each output pixel of a sliding kernel sees; the same for every image.
/// Feature maps are matrices [B * height * width, channels].
package struct Windows: Sendable {
    package let height: Int
    package let width: Int
    package let outputHeight: Int
    package let outputWidth: Int
    /// Kernel elements.
    package let taps: Int
    /// Row-major [outputHeight * outputWidth, taps]: a pixel, or -1 in the zero padding.
    package let table: Indices

    package var inputs: Int { height * width }
    package var outputs: Int { outputHeight * outputWidth }

    /// - Parameter padding: zeros around the map, on every side
    package init(height: Int, width: Int, kernel: Int, stride: Int, padding: Int) {
        self.height = height
        self.width = width
        outputHeight = (height + 2 * padding - kernel) / stride + 1
        outputWidth = (width + 2 * padding - kernel) / stride + 1
        precondition(
            outputHeight > 0 && outputWidth > 0, "a map of \(width)x\(height) has no \(kernel)x\(kernel) window")
        taps = kernel * kernel
        var table: [Int32] = []
        table.reserveCapacity(outputHeight * outputWidth * taps)
        for top in (0..<outputHeight).map({ $0 * stride - padding }) {
            for left in (0..<outputWidth).map({ $0 * stride - padding }) {
                for y in top..<top + kernel {
                    for x in left..<left + kernel {
                        let isInside = (0..<height).contains(y) && (0..<width).contains(x)
                        table.append(isInside ? Int32(y * width + x) : -1)
                    }
                }
            }
        }
        self.table = Indices(table)
    }
}
