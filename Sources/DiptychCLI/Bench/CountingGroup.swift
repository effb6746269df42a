import Processes
import Support
import Synchronization

/// A group that counts the bytes this rank sends, by what they are.
final class CountingGroup: ProcessGroup {
    private let inner: any ProcessGroup
    private let sent = Mutex<[String: Int]>([:])

    init(_ inner: any ProcessGroup) { self.inner = inner }

    var rank: Int { inner.rank }
    var size: Int { inner.size }
    var hosts: [String] { inner.hosts }
    var waited: Double { inner.waited }
    func enter(_ place: String) { inner.enter(place) }

    /// Bytes sent since the last call; of "gradients, bucket 3" under "gradients".
    func take() -> [String: Int] {
        sent.withLock { sent in
            defer { sent = [:] }
            return sent
        }
    }

    private func count(_ bytes: Int, _ what: String) {
        let name = what.split(separator: ",").first.map(String.init) ?? what
        sent.withLock { $0[name, default: 0] += bytes }
    }

    func allGather(_ mine: HostBytes, into all: HostBytes, _ what: String) -> Transfer {
        count(mine.count * (size - 1), what)
        return inner.allGather(mine, into: all, what)
    }

    func exchange(_ sends: [Message], _ receives: [Message], _ what: String) -> Transfer {
        count(sends.reduce(0) { $0 + $1.range.count }, what)
        return inner.exchange(sends, receives, what)
    }

    func broadcast(_ bytes: HostBytes, from root: Int, _ what: String) -> Transfer {
        if rank == root { count(bytes.count * (size - 1), what) }
        return inner.broadcast(bytes, from: root, what)
    }

    func meet(_ mine: Double) throws -> [Double] { try inner.meet(mine) }
    func abort(_ code: Int32) -> Never { inner.abort(code) }
    func finish() throws { try inner.finish() }
}
