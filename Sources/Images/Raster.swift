/// An image in some form that can be cut, resized and at last seen as RGB.
package protocol Raster: Sendable {
    var width: Int { get }
    var height: Int { get }
    var rgb: PixelImage { get }
    func cropped(left: Int, top: Int, width: Int, height: Int) -> Self
    func resized(width newWidth: Int, height newHeight: Int, _ filter: ResampleFilter) -> Self
    func flipped() -> Self
    /// Placed on a canvas of one value; the offsets are at least 0.
    func padded(left: Int, top: Int, width: Int, height: Int, fill: UInt8) -> Self
}

extension Raster {
    func cropped(_ box: CropBox) -> Self { cropped(left: box.left, top: box.top, width: box.width, height: box.height) }
}

extension PixelImage: Raster {
    package var rgb: PixelImage { self }
}
