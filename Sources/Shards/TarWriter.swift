package import Foundation
import Support

/// Writes tar files member by member; equal members give equal bytes.
package struct TarWriter {
    private let file: FileHandle

    package init(_ file: FileHandle) { self.file = file }

    package func add(_ name: String, _ data: Data) throws {
        let bytes = name.nameBytes
        if bytes.count > 100 {
            // GNU's way: the name as a member of its own before the one it belongs to.
            try write(Array("././@LongLink".utf8), "L", Data(bytes + [0]))
        }
        try write(bytes, "0", data)
    }

    private func write(_ name: [UInt8], _ type: String, _ data: Data) throws {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ start: Int) {
            for (index, byte) in text.utf8.enumerated() { header[start + index] = byte }
        }
        for (index, byte) in name.prefix(100).enumerated() { header[index] = byte }
        put("0000644", 100)
        put("0000000", 108)
        put("0000000", 116)
        put(String(format: "%011o", data.count), 124)
        put("00000000000", 136)
        put("        ", 148)
        put(type, 156)
        put("ustar", 257)
        put("00", 263)
        put(String(format: "%06o", header.reduce(0) { $0 + Int($1) }) + "\0 ", 148)
        try file.write(contentsOf: Data(header))
        try file.write(contentsOf: data)
        try file.write(contentsOf: Data(count: (512 - data.count % 512) % 512))
    }

    /// The two empty blocks that close a tar.
    package func finish() throws { try file.write(contentsOf: Data(count: 1024)) }
}
