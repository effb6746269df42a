import Foundation
import Images
import Shards
import Support

/// Makes inputs from a corpus and gives them to a reader until the time is over.
struct Fuzzer {
    private let reader: Reader
    private let keeper: Keeper
    private var pool: [[UInt8]]
    /// Endings seen so far: an input with a new one joins the pool. A refusal's sentence shows how far the input came.
    private var endings: Set<String> = []
    private static let largestPool = 2000

    static func run(_ arguments: [String]) throws {
        if arguments == ["--list"] { return print(Readers.all.map(\.name).joined(separator: "\n")) }
        var words: [String] = []
        var options = ["--corpus": "Tests/Fuzz/Corpus", "--keep": "fuzz.kept", "--seed": "0"]
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if word.hasPrefix("--") { options[word] = rest.popFirst() } else { words.append(word) }
        }
        guard let name = words.first, let reader = Readers.all.first(where: { $0.name == name }) else {
            throw Failure(.usage, words.first ?? "", "no such reader", remedy: "See fuzz --list")
        }
        let keeper = try Keeper(options["--keep"]!)
        let corpus = URL(fileURLWithPath: options["--corpus"]!).path
        let replayed = try options["--replay"].map { [UInt8](try readFile($0)) }
        var fuzzer = Fuzzer(reader: reader, keeper: keeper, pool: try seeds(of: reader, in: corpus))
        let scratch = try Scratch(corpus: corpus)
        defer { scratch.remove() }
        let read = try reader.open(scratch)
        try Watchdog.start(keeper)
        if let replayed {
            try fuzzer.give(replayed, to: read)
        } else if let seconds = words.dropFirst().first.flatMap(Double.init) {
            try fuzzer.run(seconds, seed: UInt64(options["--seed"]!) ?? 0, read)
        } else {
            throw Failure(.usage, name, "needs a number of seconds")
        }
        _ = keeper.noteMemory()
        print("\(name): \(keeper.line)")
    }

    private init(reader: Reader, keeper: Keeper, pool: [[UInt8]]) {
        (self.reader, self.keeper, self.pool) = (reader, keeper, pool)
    }

    private static func seeds(of reader: Reader, in corpus: String) throws -> [[UInt8]] {
        try reader.corpora.flatMap { folder in
            try Files.names(in: "\(corpus)/\(folder)").sorted().map {
                [UInt8](try readFile("\(corpus)/\(folder)/\($0)"))
            }
        }
    }

    private mutating func run(_ seconds: Double, seed: UInt64, _ read: (Data) throws -> Void) throws {
        let end = Machine.now() + seconds
        let seeds = pool
        for input in seeds { try give(input, to: read) }
        var count = 0
        while Machine.now() < end {
            var mutator = Mutator(
                RandomStream(seed: seed, purpose: reader.name, sample: count), pool: pool, seeds: seeds.count)
            try give(mutator.input(reader.form), to: read)
            count += 1
        }
    }

    /// One input: what it throws is counted, what is no typed error ends the process.
    private mutating func give(_ input: [UInt8], to read: (Data) throws -> Void) throws {
        let input = Array(input.prefix(Keeper.largestInput))
        keeper.begin(input)
        Watchdog.begin()
        let start = Watchdog.processorSeconds
        var ending = ""
        do { try read(Data(input)) } catch { ending = try Self.sentence(error) }
        let seconds = Watchdog.processorSeconds - start
        // The kernel's count of memory is asked for seldom, and after whatever took its time.
        if seconds > 0.005 || ending.isEmpty, keeper.noteMemory() > Watchdog.mostMemory {
            Watchdog.stop(98, "an input takes over 1 GB")
        }
        keeper.end(isAccepted: ending.isEmpty, seconds: seconds)
        if pool.count < Self.largestPool, endings.insert(ending.filter { !$0.isNumber }).inserted { pool.append(input) }
    }

    private static func sentence(_ error: any Error) throws -> String {
        switch error {
        case let failure as Failure: return failure.problem
        case let fault as ImageFault: return fault.description
        case let fault as SampleFault: return fault.reason
        case let broken as Broken: Watchdog.stop(97, "a promise is broken: \(broken.promise)")
        default: Watchdog.stop(97, "an error of a foreign type: \(type(of: error)) \(error)")
        }
    }
}

/// A reader gave something that it promises not to give.
struct Broken: Error {
    let promise: String

    static func unless(_ holds: Bool, _ promise: @autoclosure () -> String) throws {
        if !holds { throw Broken(promise: promise()) }
    }
}

/// A folder in memory, or where temporary files go, in which readers find their files. It is the working folder, too, so
/// that a name made up by an input finds nothing else.
final class Scratch: Sendable {
    let path: String
    let corpus: String

    init(corpus: String) throws {
        self.corpus = corpus
        let place = Files.isFolder("/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        path = place + "/diptych-fuzz-\(getpid())"
        try Files.makeFolder(path)
        guard chdir(path) == 0 else { throw Failure.system("cannot use", path) }
    }

    func remove() { try? Files.remove(path) }

    /// Writes a file, the folders above it made.
    @discardableResult
    func put(_ data: Data, _ name: String) throws -> String {
        let file = path + "/" + name
        let descriptor = Foundation.open(file, O_CREAT | O_WRONLY | O_TRUNC, 0o644)
        guard descriptor >= 0 else {
            try Files.makeFolder(Files.parent(of: file))
            try data.write(to: URL(fileURLWithPath: file))
            return file
        }
        defer { close(descriptor) }
        let written = data.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        guard written == data.count else { throw Failure.system("cannot write", file) }
        return file
    }

    /// A file of the corpus.
    func seed(_ name: String) throws -> Data { try readFile(corpus + "/" + name) }
}
