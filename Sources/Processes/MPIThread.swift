import CMPI
import Foundation
import Support
import Synchronization

/// The one thread that calls MPI. It runs jobs in the order in which they were asked for, which is the same on every rank.
final class MPIThread: @unchecked Sendable {
    struct Request {
        var handle: Int
        /// Whom it waits for; nil for all.
        let peer: Int?
    }

    struct World {
        let rank, size: Int
        let library: String
    }

    private struct Job {
        let what: String
        let hosts: [String]
        /// Seconds that another rank may not answer.
        let patience: Double
        let start: (inout [Request]) throws -> Void
        let transfer: Transfer
    }

    private(set) var world = World(rank: 0, size: 0, library: "")
    let place = Mutex("start")
    let clock = WaitClock()
    private let patience: Double
    private let condition = NSCondition()
    private let abortCode = Atomic<Int32>(0)
    // Guarded by the condition.
    private var jobs: [Job] = []
    private var isFinishing = false
    private let ended = Transfer()

    /// Opens MPI and waits until it has started.
    ///
    /// - Throws: `Failure(.machine)` where there is none
    init(patience: Double) throws {
        self.patience = patience
        let started = Transfer()
        try WorkerThread(stack: 8 << 20) { [self] in
            do { try start() } catch { return started.end(error) }
            started.end()
            work()
        }.detach()
        try started.wait()
    }

    private func start() throws {
        var why = [CChar](repeating: 0, count: 512)
        guard cm_open(getenv("DIPTYCH_MPI"), &why, Int32(why.count)) == 0 else {
            throw Failure(
                .machine, "MPI", "a launcher started several processes, but no library can be opened: \(text(why))",
                remedy: "apt-get install openmpi-bin, or name the library in DIPTYCH_MPI")
        }
        var (rank, size): (Int32, Int32) = (0, 0)
        try check(cm_start(&rank, &size))
        var version = [CChar](repeating: 0, count: 256)
        cm_version(&version, Int32(version.count))
        world = World(rank: Int(rank), size: Int(size), library: text(version))
    }

    /// - Parameter anyTime: the others may come as late as they like
    func run(
        _ what: String, _ hosts: [String], anyTime: Bool = false, _ start: @escaping (inout [Request]) throws -> Void
    ) -> Transfer {
        let job = Job(
            what: what, hosts: hosts, patience: anyTime ? .infinity : patience, start: start,
            transfer: Transfer(clock: clock))
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
        return job.transfer
    }

    /// Ends every process; this one within some seconds, whatever the engine does.
    func abort(_ code: Int32) -> Never {
        abortCode.store(code, ordering: .relaxed)
        condition.lock()
        condition.signal()
        condition.unlock()
        sleep(10)
        endProcess(code)
    }

    /// After the last job.
    func finish() {
        condition.lock()
        isFinishing = true
        condition.signal()
        condition.unlock()
        try? ended.wait()
    }

    private func work() {
        while let job = next() {
            do {
                var requests: [Request] = []
                try job.start(&requests)
                try finish(&requests, of: job)
                job.transfer.end()
            } catch { job.transfer.end(error) }
        }
        _ = cm_finish()
        ended.end()
    }

    private func next() -> Job? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            obeyAbort()
            if !jobs.isEmpty { return jobs.removeFirst() }
            if isFinishing { return nil }
            condition.wait()
        }
    }

    private func obeyAbort() {
        let code = abortCode.load(ordering: .relaxed)
        guard code != 0 else { return }
        cm_abort(code)
        endProcess(code)
    }

    /// Tests instead of waiting: a short watch, then naps, which leave the core to those who compute.
    private func finish(_ requests: inout [Request], of job: Job) throws {
        var (turns, since) = (0, Machine.now())
        while !requests.isEmpty {
            obeyAbort()
            let before = requests.count
            var open: [Request] = []
            for var request in requests {
                var done: Int32 = 0
                try check(cm_test(&request.handle, &done))
                if done == 0 { open.append(request) }
            }
            requests = open
            if open.count < before { (turns, since) = (0, Machine.now()) }
            turns += 1
            if turns > 200 { usleep(50) }
            if turns % 1000 == 0, Machine.now() - since > job.patience { giveUp(open, job) }
        }
    }

    private func giveUp(_ open: [Request], _ job: Job) {
        let peers = Set(open.compactMap(\.peer)).sorted().prefix(4).map { "rank \($0) (\(job.hosts[$0]))" }
        let who = peers.isEmpty ? "another rank" : peers.joined(separator: ", ")
        let us = "rank \(world.rank) (\(job.hosts[world.rank]))"
        Console.tell(
            "diptych: \(us): \(who) has not answered for \(Int(patience)) s: \(place.withLock { $0 }), \(job.what). "
                + "All processes end.\n")
        // mpirun may outlive an abort: `diptych launch` on this machine ends it.
        if let launcher = getenv("DIPTYCH_LAUNCHER").flatMap({ pid_t(String(cString: $0)) }),
            let name = try? String(contentsOfFile: "/proc/\(launcher)/comm", encoding: .utf8), name.hasPrefix("diptych")
        {
            kill(launcher, SIGUSR2)
        }
        // An engine whose other end is gone may never come back.
        try? WorkerThread {
            sleep(10)
            endProcess(Failure.Kind.ourFault.rawValue)
        }.detach()
        cm_abort(Failure.Kind.ourFault.rawValue)
        endProcess(Failure.Kind.ourFault.rawValue)
    }
}

/// - Throws: `Failure(.machine)` with MPI's own words
private func check(_ code: Int32) throws {
    guard code != 0 else { return }
    var words = [CChar](repeating: 0, count: 1024)
    cm_describe(code, &words, Int32(words.count))
    throw Failure(.machine, "MPI", text(words))
}

private func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

extension [MPIThread.Request] {
    mutating func add(_ peer: Int?, _ start: (inout Int) -> Int32) throws {
        var handle = 0
        try check(start(&handle))
        append(MPIThread.Request(handle: handle, peer: peer))
    }
}
