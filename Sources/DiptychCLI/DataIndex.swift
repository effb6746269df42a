import ArgumentParser
import Foundation
import Shards
import Support

struct DataIndex: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "List shards once, so that every later start takes no time.",
        discussion: """
            The index of a folder stands in the cache ($DIPTYCH_CACHE/index). Sets of 20,000 samples and more get one by
            themselves when they are first used; a shard that has changed is listed again.

            EXAMPLES
              diptych data index /data/flickr8k
              diptych data index '/data/laion/{00000..41407}.tar' --rebuild
              diptych data index /data/flickr8k --strict     # reads all headers again and compares
            """)

    @Argument(help: "Shards: a file, a brace pattern, or a folder of tars; several may be named.") var shards: [String]
    @Flag(help: "List shards again that the index holds already.") var rebuild = false
    @Flag(help: "Compare what the index says with the shards' headers; exit 1 where they differ.") var strict = false
    @Flag(help: "Print JSON on standard output.") var json = false

    func execute() throws {
        let start = Machine.now()
        let paths = try shards.flatMap(expandShards)
        let found = try Shard.open(paths, indexing: rebuild ? .anew : .always)
        let seconds = Machine.now() - start
        let differing = strict ? try ShardIndex.differing(found) : []
        let samples = found.reduce(0) { $0 + $1.count }
        let folders = Set(paths.map { Files.parent(of: $0) }).sorted()
        if json {
            let result: JSON = [
                "shards": .integer(found.count), "samples": .integer(samples), "seconds": .number(seconds),
                "indexes": .array(folders.map { .string(ShardIndex.path(of: $0)) }),
                "differing": .array(differing.map { .string($0) }),
            ]
            try answer(result.text(indent: 2))
        } else {
            try answer("shards    \(found.count)")
            try answer("samples   \(samples)")
            try answer(String(format: "seconds   %.3f", seconds))
            for folder in folders { try answer("index     \(ShardIndex.path(of: folder))") }
            for path in differing { try answer("differs   \(path)") }
        }
        guard differing.isEmpty else { throw ExitCode(1) }
    }
}
