import Support
import CCodecs
package import Foundation

/// Why an image cannot be used. `reason` is what faults are counted by.
package struct ImageFault: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: String, Sendable, CaseIterable {
        case empty = "empty file"
        case notAnImage = "not an image"
        case truncated = "truncated image"
        case damaged = "damaged image"
        case unsupported = "unsupported image format"
        case tooLarge = "image too large"
    }

    package let reason: Reason
    package let detail: String
    package var description: String { detail.isEmpty ? reason.rawValue : "\(reason.rawValue) (\(detail))" }
}

/// How training images are decoded.
package enum DecodeMode: String, Sendable, CaseIterable {
    /// PIL's pixels, to the last bit.
    case exact
    /// JPEGs at a half, a quarter or an eighth where that is large enough, of a training crop the part alone, by libjpeg's
    /// quicker paths.
    case fast

    /// The shortest side that a result of this size needs, after a crop that keeps at least `share` of the area; nil
    /// for the exact image.
    package func shortest(width: Int, height: Int, share: Double = 1) -> Int? {
        self == .exact ? nil : Int((Double(max(width, height)) / share.squareRoot()).rounded(.up))
    }
}

/// In which form an image is resized.
package enum ImageConversion: String, Sendable, CaseIterable {
    /// Converted to RGB first, as webdataset's and torchvision's readers do.
    case rgbFirst = "rgb_first"
    /// In the form that the file holds (palette, alpha, CMYK, 16-bit grey), converted afterwards, as open_clip's CSV
    /// reader does.
    case asOpened = "as_opened"

    /// - Parameter shortest: see `PixelImage.init(decoding:shortest:)`
    /// - Throws: `ImageFault`
    package func open(_ data: Data, shortest: Int? = nil) throws(ImageFault) -> any Raster {
        switch self {
        case .rgbFirst: try PixelImage(decoding: data, shortest: shortest)
        case .asOpened: try OpenedImage(decoding: data, shortest: shortest)
        }
    }
}

extension PixelImage {
    /// More pixels than this are refused from the header alone (PIL's limit against decompression bombs).
    package static let largestPixelCount = 178_956_970

    /// Decodes JPEG, PNG, WebP, GIF, BMP, Netpbm or TIFF, told apart by their first bytes, the first frame of several, as PIL's `convert("RGB")` would:
    /// alpha is dropped, grey is repeated, CMYK is converted, EXIF orientation is left alone (but a TIFF's is followed).
    ///
    /// - Parameter shortest: a JPEG may be decoded at a half, quarter or eighth of its size, its shortest side no less than this
    /// - Throws: `ImageFault`
    package init(decoding data: Data, shortest: Int? = nil) throws(ImageFault) {
        let decoded = try Decoded(data, shortest: shortest, asOpened: false)
        self.init(width: decoded.width, height: decoded.height, pixels: decoded.pixels, share: decoded.share)
    }
}

extension PixelImage {
    /// A part of the image, picked once its size is known. Of a colour JPEG nothing but the part is decoded, so what is
    /// broken outside of it may go unseen.
    ///
    /// - Parameters:
    ///   - shortest: as above
    ///   - choose: gets width and height and gives a part that lies inside
    /// - Throws: `ImageFault`
    package init(decoding data: Data, shortest: Int, part choose: @escaping (Int, Int) -> CropBox) throws(ImageFault) {
        let decoded = try Decoded(data, shortest: shortest, asOpened: false, part: choose)
        let image = PixelImage(
            width: decoded.width, height: decoded.height, pixels: decoded.pixels, share: decoded.share)
        self = decoded.isPart ? image : image.cropped(choose(image.width, image.height))
    }
}

/// What the codecs give.
struct Decoded {
    let width: Int
    let height: Int
    let kind: Int
    let pixels: [UInt8]
    let extra: [UInt8]
    let palette: [UInt8]
    /// Whether the pixels are the part that was chosen.
    let isPart: Bool
    /// Of a large image, as long as its pixels live.
    let share: DecodeShare?

    private final class Held {
        var share: DecodeShare?
    }

    init(_ data: Data, shortest: Int?, asOpened: Bool, part: ((Int, Int) -> CropBox)? = nil) throws(ImageFault) {
        guard !data.isEmpty else { throw ImageFault(reason: .empty, detail: "") }
        let head = [UInt8](data.prefix(16))
        let opened: Int32 = asOpened ? 1 : 0
        let decode: (UnsafePointer<UInt8>?, Int, Int64, UnsafeMutablePointer<cc_image>?) -> Int32
        switch ImageFormat.known(head) {
        case .jpg: decode = { Self.jpeg($0, $1, $2, Int32(clamping: shortest ?? 0), opened, part, $3) }
        case .png: decode = { cc_decode_png($0, $1, $2, opened, $3) }
        case .webp: decode = { cc_decode_webp($0, $1, $2, opened, $3) }
        case .gif: decode = { cc_decode_gif($0, $1, $2, opened, $3) }
        case .bmp: decode = { cc_decode_bmp($0, $1, $2, opened, $3) }
        case .ppm: decode = { cc_decode_pnm($0, $1, $2, opened, $3) }
        case .tif: decode = { cc_decode_tiff($0, $1, $2, opened, $3) }
        case nil:
            if let name = ImageFormat.name(head) {
                throw ImageFault(reason: .unsupported, detail: "\(name); convert it to JPEG, PNG or WebP")
            }
            throw ImageFault(reason: .notAnImage, detail: "neither JPEG, PNG, WebP, GIF, BMP, PPM nor TIFF")
        }
        var image = cc_image()
        let held = Held()
        image.context = Unmanaged.passUnretained(held).toOpaque()
        image.admit = { context, pixels in
            guard let context, pixels >= DecodeShare.smallImage else { return }
            Unmanaged<Held>.fromOpaque(context).takeUnretainedValue().share = DecodeShare(pixels: Int(pixels))
        }
        let status = data.withUnsafeBytes {
            decode($0.bindMemory(to: UInt8.self).baseAddress, $0.count, Int64(PixelImage.largestPixelCount), &image)
        }
        let message = withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        switch Int(status) {
        case CC_OK: break
        case CC_TRUNCATED: throw ImageFault(reason: .truncated, detail: message)
        case CC_UNSUPPORTED: throw ImageFault(reason: .unsupported, detail: message)
        case CC_TOO_LARGE, CC_MEMORY: throw ImageFault(reason: .tooLarge, detail: message)
        default: throw ImageFault(reason: .damaged, detail: message)
        }
        defer {
            cc_free(image.pixels)
            cc_free(image.extra)
        }
        share = held.share
        isPart = image.is_part != 0
        (width, height, kind) = (Int(image.width), Int(image.height), Int(image.kind))
        let count = width * height
        pixels = Self.taken(image.pixels, count * 3)
        extra = Array(
            UnsafeBufferPointer(start: image.extra, count: image.extra == nil ? 0 : count * (kind == CC_GREY16 ? 2 : 1))
        )
        palette = asOpened ? withUnsafeBytes(of: image.palette) { Array($0) } : []
    }

    /// The codec's bytes as an array. Of large ones each part is given back as soon as it is copied, so that a picture
    /// is never in memory twice.
    private static func taken(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int) -> [UInt8] {
        guard let bytes else { return [] }
        let part = 16 << 20
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            for start in stride(from: 0, to: count, by: part) {
                let size = min(part, count - start)
                memcpy(buffer.start + start, bytes + start, size)
                guard count > part else { continue }
                let page = 4096
                let first = (Int(bitPattern: bytes + start) + page - 1) / page * page
                let last = Int(bitPattern: bytes + start + size) / page * page
                if last > first { madvise(UnsafeMutableRawPointer(bitPattern: first), last - first, MADV_DONTNEED) }
            }
            filled = count
        }
    }

    private static func jpeg(
        _ bytes: UnsafePointer<UInt8>?, _ count: Int, _ limit: Int64, _ shortest: Int32, _ opened: Int32,
        _ part: ((Int, Int) -> CropBox)?, _ image: UnsafeMutablePointer<cc_image>?
    ) -> Int32 {
        guard var part else { return cc_decode_jpeg(bytes, count, limit, shortest, opened, nil, nil, image) }
        return withUnsafeMutablePointer(to: &part) { part in
            let choose: cc_choose = { context, width, height, box in
                guard let context, let box else { return }
                let part = context.assumingMemoryBound(to: ((Int, Int) -> CropBox).self).pointee
                let chosen = part(Int(width), Int(height))
                box.pointee = cc_box(
                    left: Int32(chosen.left), top: Int32(chosen.top), width: Int32(chosen.width),
                    height: Int32(chosen.height))
            }
            return cc_decode_jpeg(bytes, count, limit, shortest, opened, choose, part, image)
        }
    }
}

extension PixelImage {
    /// - Parameter quality: 1...100, libjpeg's scale
    package func jpeg(quality: Int = 90) -> Data {
        var out: UnsafeMutablePointer<UInt8>?
        var count = 0
        let status = pixels.withUnsafeBufferPointer {
            cc_encode_jpeg($0.baseAddress, Int32(width), Int32(height), Int32(quality), &out, &count)
        }
        guard Int(status) == CC_OK, let out else { preconditionFailure("libjpeg could not encode \(width)x\(height)") }
        defer { cc_free(out) }
        return Data(bytes: out, count: count)
    }
}
