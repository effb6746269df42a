import Tokenization
import TensorCPU
import ArgumentParser
import Encoders
import Foundation
import Learning
import Optimizers
import Shards
import Support
import TensorCore
import Training

struct BenchFeed: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "feed", abstract: "A recipe's training steps fed from its shards, and the same from memory.",
        discussion: """
            Each turn takes batches from the shards while it trains, then trains on the same batches again, held in memory.

            EXAMPLES
              diptych bench feed Recipes/flickr8k.yaml --set data.train=/data/flickr8k
            """)

    @Argument(help: "A YAML file, such as those under Recipes/.") var recipe: String
    @Option(parsing: .singleValue, help: "Override a key of the recipe: key=value, keys joined by dots.") var set:
        [String] = []
    @Option(help: "Timed steps of a turn each way, after those that fill the reader's queue.") var steps = 6
    @Option(help: "Turns.") var turns = 3
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard steps > 0, turns > 0 else { throw ValidationError("--steps and --turns must be positive.") }
    }

    func execute() throws {
        let recipe = try Recipe(recipe, overrides: set)
        let setup = try TrainingSetup(recipe)
        let device = try options.machine.device()
        var training = Step(
            .contrastive(try setup.model(on: device).model, recipe.objective), AdamW(recipe.optimizer.settings),
            recipe.stepSettings)
        func step(_ batch: Batch) throws {
            _ = try training(
                batch.pairs(setup.plan, padding: setup.tokenizer.padding, on: device), rate: recipe.optimizer.rate
            )
            .wait()
        }
        var (fromShards, fromMemory, waited) = ([Double](), [Double](), 0.0)
        var position = DataPosition()
        for _ in 0..<turns {
            let batches = try Batcher(setup.order, setup.plan, tokenizer: setup.tokenizer, from: position)
            defer { batches.stop() }
            for _ in 0..<4 { try step(try batches.next()) }  // the reader is three batches ahead
            var held: [Batch] = []
            let before = batches.waited
            for _ in 0..<steps {
                let start = Machine.now()
                let batch = try batches.next()
                try step(batch)
                fromShards.append(Machine.now() - start)
                held.append(batch)
            }
            waited += batches.waited - before
            position = batches.position
            batches.stop()
            try step(held[0])  // while the reader's threads end
            for batch in held {
                let start = Machine.now()
                try step(batch)
                fromMemory.append(Machine.now() - start)
            }
        }
        let ratios = (0..<turns).map { turn in
            let range = turn * steps..<(turn + 1) * steps
            return fromShards[range].sorted().median / fromMemory[range].sorted().median
        }.sorted()
        let size = Double(recipe.batch)
        var report = BenchReport(
            "feed: \(self.recipe), batch \(recipe.batch), \(turns) turns of \(steps) steps, \(device.name)")
        report.add("pairs_per_second", size / fromShards.sorted().median, "%.2f pairs/s from the shards")
        report.add("memory_pairs_per_second", size / fromMemory.sorted().median, "%.2f pairs/s from memory")
        report.add("ratio", ratios.median, "%.3f times the time of a step from memory, the median turn")
        report.add("lowest_ratio", ratios[0], "%.3f in the lowest turn")
        report.add("highest_ratio", ratios.largest, "%.3f in the highest")
        report.add("waiting_share", waited / fromShards.reduce(0, +), "%.4f of the time was spent waiting for samples")
        report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
        try report.print(options)
    }
}
