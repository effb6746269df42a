import Foundation
package import Processes
package import Support
import Synchronization

/// Ranks as threads of one process: what `swift test` proves without MPI.
package final class ThreadGroup: ProcessGroup, @unchecked Sendable {
    package let rank: Int
    package var size: Int { meeting.size }
    package var hosts: [String] { (0..<size).map { "thread \($0)" } }
    private let meeting: Meeting
    private var calls = 0

    /// Where the ranks of one group meet.
    private final class Meeting: @unchecked Sendable {
        struct Call {
            var mine: [Int: HostBytes] = [:]
            var sent: [[Int]: [HostBytes]] = [:]
            var arrived = 0
        }
        let size: Int
        let condition = NSCondition()
        var calls: [Int: Call] = [:]
        var isBroken = false
        init(size: Int) { self.size = size }

        /// A rank is gone: the others get nothing more.
        func breakUp() {
            condition.lock()
            isBroken = true
            condition.broadcast()
            condition.unlock()
        }
    }

    private init(rank: Int, _ meeting: Meeting) { (self.rank, self.meeting) = (rank, meeting) }

    /// Runs `body` as every rank of a group, each on a thread of its own.
    ///
    /// - Throws: what the first rank threw
    package static func run<Result: Sendable>(
        _ size: Int, _ body: @escaping @Sendable (ThreadGroup) throws -> Result
    ) throws -> [Result] {
        let meeting = Meeting(size: size)
        let results = Mutex<[Int: Swift.Result<Result, any Error>]>([:])
        let threads = try (0..<size).map { rank in
            try WorkerThread(stack: 8 << 20) {
                let result = Swift.Result { try body(ThreadGroup(rank: rank, meeting)) }
                if case .failure = result { meeting.breakUp() }
                results.withLock { $0[rank] = result }
            }
        }
        for thread in threads { thread.join() }
        return try results.withLock { found in
            try (0..<size).map { rank in
                guard let result = found[rank] else { throw Failure(.ourFault, "rank \(rank)", "gave no result") }
                return try result.get()
            }
        }
    }

    package var waited: Double { 0 }
    package func enter(_ place: String) {}

    /// Waits until every rank has come to this call, and gives what they brought.
    private func meet(_ bring: (inout Meeting.Call) -> Void) -> Meeting.Call {
        let number = calls
        calls += 1
        meeting.condition.lock()
        defer { meeting.condition.unlock() }
        bring(&meeting.calls[number, default: Meeting.Call()])
        meeting.calls[number]?.arrived += 1
        meeting.condition.broadcast()
        while let call = meeting.calls[number], call.arrived < size, !meeting.isBroken { meeting.condition.wait() }
        return meeting.calls[number] ?? Meeting.Call()
    }

    private static func copy(_ message: Message) -> HostBytes {
        let copy = HostBytes(count: message.range.count)
        copy.part(0..<copy.count).copyMemory(from: UnsafeRawBufferPointer(rebasing: message.bytes.bytes[message.range]))
        return copy
    }

    package func allGather(_ mine: HostBytes, into all: HostBytes, _ what: String) -> Transfer {
        let copy = Self.copy(Message(rank, mine))
        let call = meet { $0.mine[rank] = copy }
        guard call.mine.count == size else { return Self.failed("a rank is gone: \(what)") }
        for (rank, bytes) in call.mine {
            all.part(rank * bytes.count..<(rank + 1) * bytes.count).copyMemory(from: bytes.bytes)
        }
        return .done
    }

    package func exchange(_ sends: [Message], _ receives: [Message], _ what: String) -> Transfer {
        let call = meet { for send in sends { $0.sent[[rank, send.rank], default: []].append(Self.copy(send)) } }
        var taken: [Int: Int] = [:]
        for receive in receives {
            let index = taken[receive.rank, default: 0]
            taken[receive.rank] = index + 1
            guard let sent = call.sent[[receive.rank, rank]], index < sent.count else {
                return Self.failed("rank \(receive.rank) sent rank \(rank) too little: \(what)")
            }
            receive.bytes.part(receive.range).copyMemory(from: sent[index].bytes)
        }
        return .done
    }

    package func broadcast(_ bytes: HostBytes, from root: Int, _ what: String) -> Transfer {
        let copy = rank == root ? Self.copy(Message(root, bytes)) : nil
        let call = meet { if let copy { $0.mine[rank] = copy } }
        guard let source = call.mine[root] else { return Self.failed("rank \(root) sent nothing: \(what)") }
        bytes.part(0..<bytes.count).copyMemory(from: source.bytes)
        return .done
    }

    private static func failed(_ problem: String) -> Transfer {
        let transfer = Transfer()
        transfer.end(Failure(.ourFault, "threads", problem))
        return transfer
    }

    package func meet(_ mine: Double) throws -> [Double] { try gathered([mine], "others").map { $0[0] } }
    package func abort(_ code: Int32) -> Never { fatalError("a rank ended the group with \(code)") }
    package func finish() {}
}
