import CMPI
import Foundation
package import Support
import Synchronization

/// Processes that mpirun or srun started, over the MPI library that is found when the program runs.
package final class MPIGroup: ProcessGroup, @unchecked Sendable {
    package let rank: Int
    package let size: Int
    package let hosts: [String]
    /// Of each rank.
    package let cores: [Cores]
    private let thread: MPIThread
    private static let largestMessage = 1 << 30
    /// Up to this many ranks all-gather by messages between pairs, which know who has not answered.
    private static let fewRanks = 32

    /// - Parameters:
    ///   - launched: how many processes the launcher started
    ///   - patience: seconds
    init(launched: Int, patience: Double) throws {
        thread = try MPIThread(patience: patience)
        let world = thread.world
        guard world.size == launched else {
            throw Failure(
                .usage, "MPI",
                "the launcher started \(launched) processes, but \(world.library) knows of \(world.size): they are of two MPIs",
                remedy: "Start with the mpirun of that library, or name the launcher's library in DIPTYCH_MPI")
        }
        (rank, size) = (world.rank, world.size)
        let cores = Cores.allowed
        let hello = HostBytes(count: 64 + Cores.maskBytes)
        hello.copy(Array(ProcessInfo.processInfo.hostName.utf8.prefix(63)))
        hello.part(64..<hello.count).copyBytes(from: cores.mask)
        let all = HostBytes(count: hello.count * world.size)
        let unnamed = (0..<world.size).map { _ in "host not yet known" }
        try thread.run("start", unnamed) { requests in
            try Self.gather(hello, all, world.rank, world.size, &requests)
        }.wait()
        let entries = (0..<world.size).map { all.bytes[$0 * hello.count..<($0 + 1) * hello.count] }
        hosts = entries.map { String(decoding: $0.prefix(64).prefix { $0 != 0 }, as: UTF8.self) }
        self.cores = entries.map { Cores(mask: Array($0.suffix(Cores.maskBytes))) }
    }

    /// Threads for this process, and whether that is less than its share of the machine: a launcher bound it.
    package var threads: (count: Int, isBound: Bool) {
        let here = (0..<size).filter { hosts[$0] == hosts[rank] }
        let count = cores[rank].threads(among: here.map { cores[$0] })
        return (count, count < max(1, Machine.onlineCores / here.count))
    }

    package var waited: Double { thread.clock.seconds }

    package func enter(_ place: String) { thread.place.withLock { $0 = place } }

    package func allGather(_ mine: HostBytes, into all: HostBytes, _ what: String) -> Transfer {
        precondition(all.count == mine.count * size, "\(all.count) bytes for \(size) times \(mine.count)")
        let (rank, size) = (rank, size)
        return thread.run(what, hosts) { requests in try Self.gather(mine, all, rank, size, &requests) }
    }

    private static func gather(
        _ mine: HostBytes, _ all: HostBytes, _ rank: Int, _ size: Int, _ requests: inout [MPIThread.Request]
    ) throws {
        guard size <= fewRanks || mine.count > largestMessage else {
            let target = all.part(0..<all.count).baseAddress
            return try requests.add(nil) { cm_all_gather(mine.bytes.baseAddress, Int32(mine.count), target, &$0) }
        }
        all.part(rank * mine.count..<(rank + 1) * mine.count).copyMemory(from: mine.bytes)
        let others = (1..<size).map { (rank + $0) % size }
        try pass(
            others.map { Message($0, mine) },
            others.map { Message($0, all, $0 * mine.count..<($0 + 1) * mine.count) }, &requests)
    }

    package func exchange(_ sends: [Message], _ receives: [Message], _ what: String) -> Transfer {
        thread.run(what, hosts) { requests in try Self.pass(sends, receives, &requests) }
    }

    private static func pass(_ sends: [Message], _ receives: [Message], _ requests: inout [MPIThread.Request]) throws {
        for message in receives {
            for part in cut(message.range) {
                let target = message.bytes.part(part)
                try requests.add(message.rank) {
                    cm_receive(target.baseAddress, Int32(part.count), Int32(message.rank), 0, &$0)
                }
            }
        }
        for message in sends {
            for part in cut(message.range) {
                let source = UnsafeRawBufferPointer(rebasing: message.bytes.bytes[part])
                try requests.add(message.rank) {
                    cm_send(source.baseAddress, Int32(part.count), Int32(message.rank), 0, &$0)
                }
            }
        }
    }

    package func broadcast(_ bytes: HostBytes, from root: Int, _ what: String) -> Transfer {
        thread.run(what, hosts) { requests in
            for part in Self.cut(0..<bytes.count) {
                let target = bytes.part(part)
                try requests.add(root) {
                    cm_broadcast(target.baseAddress, Int32(part.count), Int32(root), &$0)
                }
            }
        }
    }

    /// MPI's counts are 32-bit.
    private static func cut(_ range: Range<Int>) -> [Range<Int>] {
        stride(from: range.lowerBound, to: range.upperBound, by: largestMessage).map {
            $0..<min(range.upperBound, $0 + largestMessage)
        }
    }

    package func meet(_ mine: Double) throws -> [Double] {
        let (bytes, all) = (HostBytes(count: 8), HostBytes(count: 8 * size))
        bytes.copy([mine])
        let (rank, size) = (rank, size)
        try thread.run("others", hosts, anyTime: true) { requests in
            try Self.gather(bytes, all, rank, size, &requests)
        }.wait()
        return all.array(of: Double.self)
    }

    package func abort(_ code: Int32) -> Never { thread.abort(code) }

    package func finish() throws {
        try thread.run("end", hosts) { requests in try requests.add(nil) { cm_barrier(&$0) } }.wait()
        thread.finish()
    }
}
