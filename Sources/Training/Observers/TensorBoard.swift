import Evaluation
import Foundation
import Records
import Support

/// TensorBoard event files: records of length, masked CRC-32C, bytes, masked CRC-32C, each a protobuf Event.
final class TensorBoard: RunObserver {
    private let file: FileHandle
    /// Steps between logged ones; the last is logged too.
    private let every: Int

    /// - Parameter step: what earlier files of the folder logged from here on no longer counts
    init(folder: String, from step: Int, every: Int) throws {
        self.every = every
        let path = folder + "/events.out.tfevents.\(Int(Date().timeIntervalSince1970)).\(getpid()).diptych"
        let descriptor = Files.withPath(path) {
            open($0, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644)
        }
        guard descriptor >= 0 else { throw Failure.system("cannot write", path) }
        file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var event = Self.field(1, double: Date().timeIntervalSince1970)
        event += Self.field(3, bytes: Array("brain.Event:2".utf8))
        try write(event)
        guard step > 0 else { return }
        // SessionLog START: TensorBoard drops what came after this step.
        let start = Self.field(1, double: Date().timeIntervalSince1970) + [2 << 3] + Self.varint(UInt64(step + 1))
        try write(start + Self.field(7, bytes: [1 << 3, 1]))
    }

    func see(_ event: RunEvent) throws {
        switch event {
        case .step(let record):
            if record.step % every == 0 || record.step == record.steps { try log(record.scalars, step: record.step) }
        case .validation(let record): try log(record.scalars, step: record.step)
        case .evaluation(let result, let task, let step, _):
            try log(result.record.values.map { ("\(task)/\($0.name)", $0.value) }, step: step)
        case .note: break
        }
    }

    private func log(_ values: [(tag: String, value: Double)], step: Int) throws {
        var summary: [UInt8] = []
        for (tag, value) in values {
            var float = Float(value).bitPattern.littleEndian
            let entry = Self.field(1, bytes: Array(tag.utf8)) + [2 << 3 | 5] + withUnsafeBytes(of: &float) { Array($0) }
            summary += Self.field(1, bytes: entry)
        }
        var event = Self.field(1, double: Date().timeIntervalSince1970)
        event += [2 << 3] + Self.varint(UInt64(step)) + Self.field(5, bytes: summary)
        try write(event)
    }

    private func write(_ event: [UInt8]) throws {
        var length = UInt64(event.count).littleEndian
        let head = withUnsafeBytes(of: &length) { Array($0) }
        do {
            try file.write(contentsOf: Data(head + Self.masked(head) + event + Self.masked(event)))
        } catch { throw Failure.writing("TensorBoard events", error) }
    }

    private static func field(_ number: UInt8, double: Double) -> [UInt8] {
        var bits = double.bitPattern.littleEndian
        return [number << 3 | 1] + withUnsafeBytes(of: &bits) { Array($0) }
    }

    private static func field(_ number: UInt8, bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2] + varint(UInt64(bytes.count)) + bytes
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var (rest, out) = (value, [UInt8]())
        while rest >= 128 {
            out.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return out + [UInt8(rest)]
    }

    private static func masked(_ bytes: [UInt8]) -> [UInt8] {
        var crc: UInt32 = ~0
        for byte in bytes { crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ (crc >> 8) }
        crc = ~crc
        var mask = (((crc >> 15) | (crc << 17)) &+ 0xA282_EAD8).littleEndian
        return withUnsafeBytes(of: &mask) { Array($0) }
    }

    /// CRC-32C (Castagnoli), reflected.
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }
}
