package import Support

/// Processes that train one model. Collective: every rank makes the same calls in the same order. Bytes travel; sums are
/// ours (`TreeSum`), so that their bits do not depend on the engine.
package protocol ProcessGroup: Sendable {
    var rank: Int { get }
    var size: Int { get }
    /// Of each rank, the machine it runs on.
    var hosts: [String] { get }
    /// Seconds spent waiting for others so far.
    var waited: Double { get }
    /// Where the run is, for messages about ranks that do not answer: "step 1204".
    func enter(_ place: String)
    /// What every rank has, in the order of ranks.
    ///
    /// - Parameters:
    ///   - all: of `size` times as many bytes
    ///   - what: for messages, "features of the texts"
    func allGather(_ mine: HostBytes, into all: HostBytes, _ what: String) -> Transfer
    /// Messages between pairs. What one rank sends another receives in the same call, as many bytes.
    func exchange(_ sends: [Message], _ receives: [Message], _ what: String) -> Transfer
    /// root's bytes to all.
    func broadcast(_ bytes: HostBytes, from root: Int, _ what: String) -> Transfer
    /// Waits for all, however long they take: between pieces of work that are each rank's own.
    ///
    /// - Returns: what each brought
    func meet(_ mine: Double) throws -> [Double]
    /// Ends all processes with this code.
    func abort(_ code: Int32) -> Never
    /// Waits for the others and leaves them; no call may follow.
    func finish() throws
}

extension ProcessGroup {
    package var isRoot: Bool { rank == 0 }

    /// "rank 3 (node-b)"
    package func name(of rank: Int) -> String { "rank \(rank) (\(hosts[rank]))" }

    /// What every rank has, all of one length, rank by rank. Waits.
    package func gathered(_ mine: [Double], _ what: String) throws -> [[Double]] {
        guard size > 1 else { return [mine] }
        let bytes = HostBytes(count: mine.count * 8)
        let all = HostBytes(count: bytes.count * size)
        bytes.copy(mine)
        try allGather(bytes, into: all, what).wait()
        let values = all.array(of: Double.self)
        return (0..<size).map { Array(values[$0 * mine.count..<($0 + 1) * mine.count]) }
    }

    /// root's text at every rank. Waits.
    package func shared(_ text: String, from root: Int = 0, _ what: String) throws -> String {
        guard size > 1 else { return text }
        let length = HostBytes(count: 8)
        if rank == root { length.copy([text.utf8.count]) }
        try broadcast(length, from: root, what).wait()
        let bytes = HostBytes(count: length.array(of: Int.self)[0])
        if rank == root { bytes.copy(Array(text.utf8)) }
        try broadcast(bytes, from: root, what).wait()
        return String(decoding: bytes.bytes, as: UTF8.self)
    }

    /// A text of every rank, in their order. Waits.
    package func texts(_ mine: String, _ what: String) throws -> [String] {
        let lengths = try gathered([Double(mine.utf8.count)], what).map { Int($0[0]) }
        let longest = lengths.max() ?? 0
        guard size > 1, longest > 0 else { return size > 1 ? lengths.map { _ in "" } : [mine] }
        let (bytes, all) = (HostBytes(count: longest), HostBytes(count: longest * size))
        bytes.copy(Array(mine.utf8))
        try allGather(bytes, into: all, what).wait()
        return lengths.enumerated().map { rank, length in
            String(decoding: all.bytes[rank * longest..<rank * longest + length], as: UTF8.self)
        }
    }
}

/// A failure that every rank comes to by itself: one of them says it.
package struct AgreedFailure: Error, CustomStringConvertible {
    package let failure: Failure
    package var description: String { failure.description }
}

extension ProcessGroup {
    /// What is thrown where every rank throws the same.
    package func agreed(_ failure: Failure) -> any Error { size > 1 ? AgreedFailure(failure: failure) : failure }

    /// Runs what fails at every rank or at none.
    package func agreeing<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let failure as Failure { throw agreed(failure) }
    }
}

/// Bytes to or from another rank.
package struct Message: Sendable {
    package let rank: Int
    package let bytes: HostBytes
    /// The part of them that travels.
    package let range: Range<Int>

    package init(_ rank: Int, _ bytes: HostBytes, _ range: Range<Int>? = nil) {
        (self.rank, self.bytes, self.range) = (rank, bytes, range ?? 0..<bytes.count)
    }
}

/// One process by itself.
package struct Alone: ProcessGroup {
    package init() {}
    package var rank: Int { 0 }
    package var size: Int { 1 }
    package var hosts: [String] { ["this machine"] }
    package var waited: Double { 0 }
    package func enter(_ place: String) {}

    package func allGather(_ mine: HostBytes, into all: HostBytes, _ what: String) -> Transfer {
        all.part(0..<mine.count).copyMemory(from: mine.bytes)
        return .done
    }

    package func exchange(_ sends: [Message], _ receives: [Message], _ what: String) -> Transfer {
        precondition(sends.isEmpty && receives.isEmpty, "one process has nobody to send to")
        return .done
    }

    package func broadcast(_ bytes: HostBytes, from root: Int, _ what: String) -> Transfer { .done }
    package func meet(_ mine: Double) -> [Double] { [mine] }
    package func abort(_ code: Int32) -> Never { endProcess(code) }
    package func finish() {}
}
