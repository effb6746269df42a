import CCUDA
import Foundation

/// The way from the host's memory to the card's: through memory that the card can read by itself. What is large goes on a
/// stream of its own into a place beside, so that it travels while the card still computes, and is moved when its turn
/// comes.
struct Staging {
    private struct Lane {
        var host: UnsafeMutableRawPointer?
        var card: ccuda_address = 0
        var bytes = 0
        /// The host's side may be written again; the card's side may be.
        var hasLeft: ccuda_event?
        var isTaken: ccuda_event?
    }

    private let work: ccuda_stream
    private let copies: ccuda_stream
    private var large = [Lane(), Lane()]
    private var small = (0..<16).map { _ in Lane() }
    private var (nextLarge, nextSmall) = (0, 0)
    private static let smallest = 1 << 20

    init(work: ccuda_stream, copies: ccuda_stream) { (self.work, self.copies) = (work, copies) }

    /// - Returns: the driver's status
    mutating func upload(_ bytes: UnsafeRawBufferPointer, to address: UInt) -> Int32 {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return 0 }
        if bytes.count <= Self.smallest {
            nextSmall = (nextSmall + 1) % small.count
            return Self.send(source, bytes.count, &small[nextSmall], Self.smallest, to: address, work, via: nil)
        }
        nextLarge = (nextLarge + 1) % large.count
        return Self.send(source, bytes.count, &large[nextLarge], bytes.count, to: address, work, via: copies)
    }

    /// - Parameters:
    ///   - capacity: bytes that the lane gets where it has fewer than `count`
    ///   - stream: what it travels on; nil: on the work's own, straight
    private static func send(
        _ source: UnsafeRawPointer, _ count: Int, _ lane: inout Lane, _ capacity: Int, to address: UInt,
        _ work: ccuda_stream, via stream: ccuda_stream?
    ) -> Int32 {
        do {
            if lane.bytes < count { try grow(&lane, to: capacity, isDirect: stream == nil) }
            try done(ccuda_wait_event(lane.hasLeft))
            guard let host = lane.host else { return 1 }
            fill(host, source, count)
            if let stream {
                try done(ccuda_wait_for(stream, lane.isTaken))
                try done(ccuda_copy_in(lane.card, host, count, stream))
                try done(ccuda_record(lane.hasLeft, stream))
                try done(ccuda_wait_for(work, lane.hasLeft))
                try done(ccuda_copy(UInt64(address), lane.card, count, work))
                try done(ccuda_record(lane.isTaken, work))
            } else {
                try done(ccuda_copy_in(UInt64(address), host, count, work))
                try done(ccuda_record(lane.hasLeft, work))
            }
            return 0
        } catch let status as Status { return status.code } catch { return 1 }
    }

    /// By several cores where it is much: one does some 8 GB/s.
    private static func fill(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ count: Int) {
        let (part, from, to) = (4 << 20, UInt(bitPattern: source), UInt(bitPattern: target))
        DispatchQueue.concurrentPerform(iterations: (count + part - 1) / part) { index in
            guard let to = UnsafeMutableRawPointer(bitPattern: to), let from = UnsafeRawPointer(bitPattern: from) else {
                return
            }
            memcpy(to + index * part, from + index * part, min(part, count - index * part))
        }
    }

    private static func grow(_ lane: inout Lane, to bytes: Int, isDirect: Bool) throws {
        if lane.hasLeft == nil {
            try done(ccuda_make_event(&lane.hasLeft, 0))
            try done(ccuda_make_event(&lane.isTaken, 0))
        }
        try done(ccuda_wait_event(lane.hasLeft))
        try done(ccuda_wait_event(lane.isTaken))
        if let host = lane.host { try done(ccuda_free_host(host)) }
        if lane.card != 0 { try done(ccuda_free(lane.card)) }
        (lane.host, lane.card, lane.bytes) = (nil, 0, 0)
        try done(ccuda_allocate_host(&lane.host, bytes))
        if !isDirect { try done(ccuda_allocate(&lane.card, bytes)) }
        lane.bytes = bytes
    }

    private struct Status: Error { let code: Int32 }

    private static func done(_ status: Int32) throws {
        if status != 0 { throw Status(code: status) }
    }
}
