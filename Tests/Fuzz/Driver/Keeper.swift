import Foundation
import Support
import Synchronization

/// The input that is being read and the counts so far, in a mapped file: they stand there whatever ends the process.
///
/// Six little-endian integers of 8 bytes (length of the input, 0 between inputs; inputs; accepted; refused; microseconds
/// of the slowest; most bytes resident), then the input.
final class Keeper: @unchecked Sendable {
    static let largestInput = 1 << 17
    private static let headSize = 48
    private let base: UnsafeMutableRawPointer
    private var head: UnsafeMutablePointer<Int64> { base.assumingMemoryBound(to: Int64.self) }

    init(_ path: String) throws {
        let descriptor = open(path, O_CREAT | O_RDWR | O_TRUNC, 0o644)
        let size = Self.headSize + Self.largestInput
        guard descriptor >= 0, ftruncate(descriptor, off_t(size)) == 0,
            let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED
        else { throw Failure(.io, path, "cannot keep inputs") }
        close(descriptor)
        self.base = base
    }

    func begin(_ input: [UInt8]) {
        input.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            (base + Self.headSize).copyMemory(from: start, byteCount: bytes.count)
        }
        head[0] = Int64(input.count)
        head[1] += 1
    }

    func end(isAccepted: Bool, seconds: Double) {
        head[0] = 0
        head[isAccepted ? 2 : 3] += 1
        head[4] = max(head[4], Int64(seconds * 1e6))
    }

    /// - Returns: the most bytes resident so far
    func noteMemory() -> Int {
        let peak = Machine.peakMemory
        head[5] = max(head[5], Int64(peak))
        return peak
    }

    var line: String {
        "inputs \(head[1]), accepted \(head[2]), refused \(head[3]), slowest \(head[4] / 1000) ms, "
            + "peak \(head[5] / 1_000_000) MB"
    }
}

/// Ends the process while one input takes too long or too much memory; the input stays kept.
enum Watchdog {
    static let mostSeconds = 5.0
    static let mostMemory = 1_000_000_000
    /// When the input began: processor time, and the clock's.
    private static let began = Atomic<UInt64>(0)
    private static let beganByClock = Atomic<UInt64>(0)

    private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Processor time of the process, so that a busy machine makes no input slow.
    static var processorSeconds: Double { Double(nanoseconds(CLOCK_PROCESS_CPUTIME_ID)) * 1e-9 }

    static func begin() {
        began.store(nanoseconds(CLOCK_PROCESS_CPUTIME_ID), ordering: .relaxed)
        beganByClock.store(nanoseconds(CLOCK_MONOTONIC), ordering: .relaxed)
    }

    static func start(_ keeper: Keeper) throws {
        try WorkerThread { while true { look(keeper) } }.detach()
    }

    private static func look(_ keeper: Keeper) {
        usleep(50_000)
        func passed(_ clock: clockid_t, _ start: borrowing Atomic<UInt64>) -> Double {
            let (now, then) = (nanoseconds(clock), start.load(ordering: .relaxed))
            return then == 0 || now < then ? 0 : Double(now - then) * 1e-9
        }
        // What waits without working is a hang, too.
        let isWaiting = passed(CLOCK_MONOTONIC, beganByClock) > 6 * mostSeconds
        if isWaiting || passed(CLOCK_PROCESS_CPUTIME_ID, began) > mostSeconds {
            stop(99, "an input takes over \(Int(mostSeconds)) s")
        }
        if keeper.noteMemory() > mostMemory { stop(98, "an input takes over 1 GB") }
    }

    static func stop(_ code: Int32, _ reason: String) -> Never {
        FileHandle.standardError.write(Data("fuzz: \(reason)\n".utf8))
        _exit(code)
    }
}
