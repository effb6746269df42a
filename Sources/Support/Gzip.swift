import CZlib
import Foundation

/// gzip streams through zlib.
public enum Gzip {
    public static func isGzip(_ data: Data) -> Bool {
        data.count >= 2 && data[data.startIndex] == 0x1F && data[data.startIndex + 1] == 0x8B
    }

    /// Inflates every member of the stream.
    /// - Throws: `Failure(.badData)` naming `path` when it is damaged or ends early.
    public static func inflate(_ data: Data, path: String) throws -> Data {
        var stream = z_stream()
        guard inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw Failure(.ourFault, path, "zlib could not start")
        }
        defer { inflateEnd(&stream) }
        var out = Data()
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        try data.withUnsafeBytes { (input: UnsafeRawBufferPointer) in
            stream.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
            var rest = input.count
            while true {
                if stream.avail_in == 0 {  // zlib counts in 32 bits
                    stream.avail_in = uInt(min(rest, 1 << 30))
                    rest -= Int(stream.avail_in)
                }
                let status = chunk.withUnsafeMutableBufferPointer { buffer in
                    stream.next_out = buffer.baseAddress
                    stream.avail_out = uInt(buffer.count)
                    return CZlib.inflate(&stream, Z_NO_FLUSH)
                }
                out.append(contentsOf: chunk[0..<(chunk.count - Int(stream.avail_out))])
                if status == Z_STREAM_END {
                    if stream.avail_in == 0, rest == 0 { return }
                    inflateReset(&stream)
                } else if status != Z_OK {
                    throw Failure(
                        .badData, path, stream.avail_in == 0 ? "the gzip stream ends early" : "damaged gzip stream",
                        remedy: "Fetch or make the file again")
                }
            }
        }
        return out
    }

    /// CRC-32 (zlib's).
    public static func crc32(_ data: Data) -> UInt32 {
        data.withUnsafeBytes {
            UInt32(CZlib.crc32(0, $0.bindMemory(to: UInt8.self).baseAddress, uInt($0.count)))
        }
    }
}
