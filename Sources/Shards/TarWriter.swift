import Foundation
import Support

/// Writes tar files member by member; equal members give equal bytes.
public struct TarWriter {
    private let file: FileHandle

    public init(_ file: FileHandle) { self.file = file }

    public func add(_ name: String, _ data: Data) throws {
        precondition(name.utf8.count <= 100, "tar member name too long: \(name)")
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ start: Int) {
            for (index, byte) in text.utf8.enumerated() { header[start + index] = byte }
        }
        put(name, 0)
        put("0000644", 100)
        put("0000000", 108)
        put("0000000", 116)
        put(String(format: "%011o", data.count), 124)
        put("00000000000", 136)
        put("        ", 148)
        put("0", 156)
        put("ustar", 257)
        put("00", 263)
        put(String(format: "%06o", header.reduce(0) { $0 + Int($1) }) + "\0 ", 148)
        try file.write(contentsOf: Data(header))
        try file.write(contentsOf: data)
        try file.write(contentsOf: Data(count: (512 - data.count % 512) % 512))
    }

    /// The two empty blocks that close a tar.
    public func finish() throws { try file.write(contentsOf: Data(count: 1024)) }
}
