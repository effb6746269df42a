import Foundation
import Shards
import Support
import TestKit
import Testing

/// Serial: the cache is found by an environment variable of the process.
@Suite(.serialized) struct ShardIndexTests {
    private func withCache(_ body: (String) throws -> Void) throws {
        try Places.withFolder { folder in
            let before = ProcessInfo.processInfo.environment["DIPTYCH_CACHE"]
            setenv("DIPTYCH_CACHE", folder + "/cache", 1)
            defer { if let before { setenv("DIPTYCH_CACHE", before, 1) } else { unsetenv("DIPTYCH_CACHE") } }
            try body(folder)
        }
    }

    private func write(_ samples: Range<Int>, to path: String, extra: String = "") throws {
        try Files.makeFolder(Files.parent(of: path))
        try AtomicFile.write(to: path) { file in
            let tar = TarWriter(file)
            for number in samples {
                // Some names need a header of their own.
                let key = (number % 5 == 0 ? String(repeating: "long/", count: 30) : "") + "key\(number)"
                try tar.add(key + ".jpg", Data("image \(number)".utf8) + Data(count: number * 700))
                try tar.add(key + ".txt", Data("caption \(number)\(extra)".utf8))
            }
            try tar.finish()
        }
    }

    private func read(_ shards: [Shard]) throws -> [String] {
        try shards.flatMap { shard in
            try shard.all().map { try $0.key + "|" + $0.captions().joined() + "|\($0.imageData().count)" }
        }
    }

    @Test("An indexed shard gives the samples, ids and digests that its listing gives, plain and gzip")
    func same() throws {
        try withCache { folder in
            let paths = ["\(folder)/a.tar", "\(folder)/b.tar", "\(folder)/c.tar.gz"]
            try write(0..<40, to: paths[0])
            try write(40..<70, to: paths[1])
            try write(70..<90, to: folder + "/c.tar")
            let gzip = Process()
            gzip.executableURL = URL(fileURLWithPath: "/bin/gzip")
            gzip.arguments = [folder + "/c.tar"]
            try gzip.run()
            gzip.waitUntilExit()
            let listed = try Shard.open(paths, indexing: .never)
            let indexed = try Shard.open(paths, indexing: .always)
            #expect(Files.exists(ShardIndex.path(of: folder)))
            #expect(try read(indexed) == read(listed))
            #expect(try indexed.map { try $0.ids() } == listed.map { try $0.ids() })
            #expect(try indexed.map { try $0.digest() } == listed.map { try $0.digest() })
            #expect(indexed.map(\.keys) == listed.map(\.keys))
            #expect(try ShardIndex.differing(indexed).isEmpty)
            // At most 24 bytes a sample, but for what a shard takes.
            let length = try InputFile(ShardIndex.path(of: folder)).length
            #expect(length < 90 * 16 + 3 * 500 + 64)
        }
    }

    @Test("A shard that changed is listed again, and one that was added joins the index")
    func changed() throws {
        try withCache { folder in
            try write(0..<10, to: folder + "/a.tar")
            _ = try Shard.open([folder + "/a.tar"], indexing: .always)
            try write(0..<12, to: folder + "/a.tar", extra: " anew")
            try write(20..<25, to: folder + "/b.tar")
            let shards = try Shard.open([folder + "/a.tar", folder + "/b.tar"], indexing: .always)
            #expect(shards.map(\.count) == [12, 5])
            #expect(try read(shards)[1] == "key1|caption 1 anew|707")
        }
    }

    @Test("A damaged index is made anew, and a record that points elsewhere is an error")
    func damaged() throws {
        try withCache { folder in
            let path = folder + "/a.tar"
            try write(0..<10, to: path)
            _ = try Shard.open([path], indexing: .always)
            let index = ShardIndex.path(of: folder)
            let whole = try readFile(index)
            for cut in [0, 5, whole.count / 2, whole.count - 1] {
                try AtomicFile.write(whole.prefix(cut), to: index)
                #expect(try Shard.open([path], indexing: .always)[0].count == 10)
                #expect(try readFile(index) == whole)
            }
            // Sample 0 where sample 1 stands.
            var swapped = whole
            swapped.replaceSubrange(16..<24, with: whole[32..<40])
            try AtomicFile.write(swapped, to: index)
            let shard = try Shard.open([path], indexing: .always)[0]
            let fault = #expect(throws: SampleFault.self) { try shard.sample(0) }
            #expect(fault?.description.contains("is not where the index says") == true)
        }
    }

    @Test("Small sets leave nothing in the cache")
    func small() throws {
        try withCache { folder in
            try write(0..<10, to: folder + "/a.tar")
            _ = try Shard.open([folder + "/a.tar"])
            #expect(!Files.exists(folder + "/cache"))
        }
    }
}
