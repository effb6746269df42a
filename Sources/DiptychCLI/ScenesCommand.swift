import Scenes
import ArgumentParser
import Foundation
import Shards
import Support

struct ScenesCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "scenes", abstract: "Write the built-in generated data set as shards.",
        discussion: """
            Pictures of coloured shapes with captions; the true factors are in each sample's JSON. The same seed and
            options give the same bytes.

            EXAMPLES
              diptych scenes --out scenes/train --count 20000 --seed 1 --pairs seen
              diptych scenes --out scenes/classes --count 2000 --seed 2 --objects 1
              diptych scenes --out scenes/domains --count 8000 --seed 3 --domains 4 --ambiguity 0.2
            """)

    @Option(help: "Folder of the shards.") var out: String
    @Option(help: "Number of scenes.") var count: Int
    @Option(help: "Seed.") var seed: UInt64 = 0
    @Option(help: "Objects per scene: 1, or a range like 2-4.") var objects = "1-4"
    @Option(help: "Shape-colour pairs: all, seen (without ten withheld ones) or withheld.") var pairs = SceneRules.Pairs
        .all
    @Option(help: "Groups of scenes with a vocabulary of their own (1 to 4).") var domains = 1
    @Option(help: "Chance of a caption that fits other scenes too (0 to 1).") var ambiguity = 0.0
    @Option(help: "Chance that colour follows from shape (0 to 1).") var correlation = 0.0
    @Flag(help: "Counter-examples: with --correlation, the linked colours never appear.") var counter = false
    @Option(help: "Captions per scene.") var captions = 3
    @Flag(help: "No caption stands twice in the set.") var distinct = false
    @Option(help: "Side of the pictures in pixels.") var side = 64
    @Option(help: "Scenes per shard.") var shardSize = 2000

    func validate() throws {
        guard count > 0, shardSize > 0, captions > 0, (8...1024).contains(side) else {
            throw ValidationError("--count, --shard-size and --captions must be positive, --side in 8...1024.")
        }
        guard (1...4).contains(domains) else { throw ValidationError("--domains must be in 1...4.") }
        for share in [ambiguity, correlation] where !(0...1).contains(share) {
            throw ValidationError("--ambiguity and --correlation must be in 0...1.")
        }
        _ = try objectRange()
    }

    private func objectRange() throws -> ClosedRange<Int> {
        let parts = objects.split(separator: "-").compactMap { Int($0) }
        guard let first = parts.first, let last = parts.last, parts.count <= 2, first >= 1, last <= 4, first <= last
        else {
            throw ValidationError("--objects \(objects) is not a number or range in 1-4.")
        }
        return first...last
    }

    func execute() throws {
        var rules = SceneRules()
        rules.objects = try objectRange()
        rules.pairs = pairs
        rules.domains = domains
        rules.ambiguity = ambiguity
        rules.correlation = correlation
        rules.isCounter = counter
        rules.captions = captions
        rules.isDistinct = distinct
        rules.side = side
        let progress = ProgressLine("scenes", total: count)
        try rules.write(count: count, seed: seed, to: out, shardSize: shardSize, threads: Machine.coreCount) {
            progress.update($0)
        }
        progress.finish()
        try answer("wrote \(count) scenes to \(out)")
    }
}

extension SceneRules.Pairs: ExpressibleByArgument {}
