import Foundation

/// Bytes on the host that several threads may fill, each a part of its own.
package final class HostBytes: @unchecked Sendable {
    package let count: Int
    private let start: UnsafeMutableRawPointer
    /// Whose memory it is; nil: its own.
    private let owner: AnyObject?

    /// Zeros.
    package init(count: Int) {
        self.count = count
        owner = nil
        start = .allocate(byteCount: max(1, count), alignment: 64)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    /// Memory of another object, which stays as long as this.
    package init(viewing start: UnsafeMutableRawPointer, count: Int, of owner: AnyObject) {
        (self.start, self.count, self.owner) = (start, count, owner)
    }

    deinit { if owner == nil { start.deallocate() } }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// A part to fill; nobody else may hold it.
    package func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) is outside of \(count) bytes")
        return UnsafeMutableRawBufferPointer(start: start + range.lowerBound, count: range.count)
    }

    /// Fills from the front with values in the host's form.
    package func copy<Value: BitwiseCopyable>(_ values: [Value]) {
        values.withUnsafeBytes { part(0..<$0.count).copyMemory(from: $0) }
    }

    /// Everything, as values in the host's form.
    package func array<Value: BitwiseCopyable>(of type: Value.Type) -> [Value] { Array(bytes.bindMemory(to: type)) }
}
