package import Foundation

/// What is taken for an image by its name: the suffixes of torchvision's ImageFolder, and GIF. AVIF, which is not read,
/// is among them so that it is named instead of passed over.
package enum ImageFormat {
    /// Lower case, without the dot.
    package static let suffixes = [
        "jpg", "jpeg", "png", "webp", "bmp", "gif", "ppm", "pgm", "pbm", "pnm", "tif", "tiff", "avif",
    ]

    /// The suffix that a file of these bytes should have.
    package static func suffix(of data: Data) -> String { known([UInt8](data.prefix(16)))?.rawValue ?? "jpg" }

    enum Known: String {
        case jpg, png, webp, gif, bmp, ppm
        case tif
    }

    /// The format of a file that is read, by its first bytes.
    static func known(_ head: [UInt8]) -> Known? {
        if head.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpg }
        if head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if head.count >= 12, head.starts(with: Array("RIFF".utf8)), head[8..<12].elementsEqual("WEBP".utf8) {
            return .webp
        }
        if head.starts(with: Array("GIF87a".utf8)) || head.starts(with: Array("GIF89a".utf8)) { return .gif }
        if head.starts(with: Array("BM".utf8)) { return .bmp }
        if head.count >= 3, head[0] == UInt8(ascii: "P"), (0x31...0x36).contains(head[1]),
            [0x20, 0x09, 0x0A, 0x0D].contains(head[2])
        {
            return .ppm
        }
        if [[0x49, 0x49, 0x2A, 0], [0x4D, 0x4D, 0, 0x2A], [0x49, 0x49, 0x2B, 0], [0x4D, 0x4D, 0, 0x2B]].contains(
            where: { head.starts(with: $0) })
        {
            return .tif
        }
        return nil
    }

    /// What the first bytes tell, for formats that are not read.
    static func name(_ head: [UInt8]) -> String? {
        func begins(_ text: String, at offset: Int = 0) -> Bool {
            head.count >= offset + text.utf8.count && head[offset...].starts(with: text.utf8)
        }
        if begins("ftyp", at: 4) {
            let brand = String(decoding: head[8..<min(12, head.count)], as: UTF8.self)
            switch brand {
            case "avif", "avis": return "AVIF"
            case "heic", "heix", "hevc", "heim", "heis", "mif1", "msf1": return "HEIF"
            case "qt  ": return "QuickTime"
            default: return "MP4 or its like, brand \(brand)"
            }
        }
        if head.starts(with: [0xFF, 0x0A]) || begins("JXL ", at: 4) { return "JPEG XL" }
        if begins("jP  ", at: 4) || head.starts(with: [0xFF, 0x4F, 0xFF, 0x51]) { return "JPEG 2000" }
        if begins("%PDF") { return "PDF" }
        if begins("8BPS") { return "PSD" }
        if head.starts(with: [0, 0, 1, 0]) { return "ICO" }
        if begins("<svg") || begins("<?xml") { return "SVG or XML" }
        if begins("<!DO") || begins("<htm") || begins("<HTM") { return "HTML" }
        if head.starts(with: [0x1F, 0x8B]) { return "gzip" }
        if begins("qoif") { return "QOI" }
        if begins("DDS ") { return "DDS" }
        if head.starts(with: [0x76, 0x2F, 0x31, 0x01]) { return "OpenEXR" }
        return nil
    }
}
