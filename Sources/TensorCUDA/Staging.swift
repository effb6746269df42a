import CCUDA
import Foundation

/// The way from the host's memory to the card's: through memory that the card can read by itself. What is large goes on a
/// stream of its own into a place beside, so that it travels while the card still computes, and is moved when its turn
/// comes.
struct Staging {
    private final class Lane {
        var host: UnsafeMutableRawPointer?
        var card: ccuda_address = 0
        var bytes = 0
        /// The host's side may be written again; the card's side may be.
        var hasLeft: ccuda_event?
        var isTaken: ccuda_event?
    }

    private let work: ccuda_stream
    private let copies: ccuda_stream
    private let large = [Lane(), Lane()]
    private let small = (0..<16).map { _ in Lane() }
    private var (nextLarge, nextSmall) = (0, 0)
    private static let smallest = 1 << 20

    init(work: ccuda_stream, copies: ccuda_stream) { (self.work, self.copies) = (work, copies) }

    /// - Returns: the driver's status
    mutating func upload(_ bytes: UnsafeRawBufferPointer, to address: UInt) -> Int32 {
        guard bytes.count > 0 else { return 0 }
        do {
            if bytes.count <= Self.smallest {
                nextSmall = (nextSmall + 1) % small.count
                try sendStraight(bytes, small[nextSmall], to: address)
            } else {
                nextLarge = (nextLarge + 1) % large.count
                try sendBeside(bytes, large[nextLarge], to: address)
            }
            return 0
        } catch let status as Status { return status.code } catch { return 1 }
    }

    /// On the work's own stream.
    private func sendStraight(_ bytes: UnsafeRawBufferPointer, _ lane: Lane, to address: UInt) throws {
        if lane.bytes < bytes.count { try grow(lane, to: Self.smallest, isDirect: true) }
        let host = try fill(lane, bytes)
        try done(ccuda_copy_in(UInt64(address), host, bytes.count, work))
        try done(ccuda_record(lane.hasLeft, work))
    }

    private func sendBeside(_ bytes: UnsafeRawBufferPointer, _ lane: Lane, to address: UInt) throws {
        if lane.bytes < bytes.count { try grow(lane, to: bytes.count, isDirect: false) }
        let host = try fill(lane, bytes)
        try done(ccuda_wait_for(copies, lane.isTaken))
        try done(ccuda_copy_in(lane.card, host, bytes.count, copies))
        try done(ccuda_record(lane.hasLeft, copies))
        try done(ccuda_wait_for(work, lane.hasLeft))
        try done(ccuda_copy(UInt64(address), lane.card, bytes.count, work))
        try done(ccuda_record(lane.isTaken, work))
    }

    /// By several cores where it is much: one does some 8 GB/s.
    private func fill(_ lane: Lane, _ bytes: UnsafeRawBufferPointer) throws -> UnsafeMutableRawPointer {
        try done(ccuda_wait_event(lane.hasLeft))
        guard let host = lane.host, let source = bytes.baseAddress else { throw Status(code: 1) }
        let (part, count) = (4 << 20, bytes.count)
        let (from, to) = (UInt(bitPattern: source), UInt(bitPattern: host))
        DispatchQueue.concurrentPerform(iterations: (count + part - 1) / part) { index in
            guard let to = UnsafeMutableRawPointer(bitPattern: to), let from = UnsafeRawPointer(bitPattern: from) else {
                return
            }
            memcpy(to + index * part, from + index * part, min(part, count - index * part))
        }
        return host
    }

    private func grow(_ lane: Lane, to bytes: Int, isDirect: Bool) throws {
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

    private func done(_ status: Int32) throws {
        if status != 0 { throw Status(code: status) }
    }
}
