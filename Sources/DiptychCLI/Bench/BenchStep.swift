import ArgumentParser
import Encoders
import Foundation
import Layers
import Objectives
import Optimizers
import Support
import TensorCPU
import TensorCore
import Tokenization
import Training

struct BenchStep: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Training steps on random images and captions.",
        discussion: """
            Captions are full-length and random, or the lines of a file, in turn.

            EXAMPLES
              diptych bench step --config Recipes/models/flickr8k.json --batch 128
              diptych bench step --config Recipes/models/ViT-B-32.json --batch 32 --captions captions.txt --profile
            """)

    @Option(help: "A model configuration, as open_clip's.") var config: String
    @Option(help: "Pairs per step.") var batch = 128
    @Option(help: "Timed steps, after two that are not.") var steps = 5
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @OptionGroup var captions: BenchCaptions
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard batch > 0, steps > 0 else { throw ValidationError("--batch and --steps must be positive.") }
    }

    func execute() throws {
        // Its clock is read a few hundred times a step: too little to tell.
        let device = ProfilingDevice(options.machine.device())
        let blueprint = try Blueprint(JSON(file: config), path: config)
        let model = try DualEncoder(FreshParameters(on: device, seed: 0), blueprint)
        let images = randomImages(batch, blueprint, device)
        let texts = try captions.batches(of: batch, blueprint, count: steps + 2, path: config)
        var optimizer = AdamW(.init())
        var times: [Double] = []
        for step in 0..<steps + 2 {
            if step == 2 { _ = device.take() }
            let start = Machine.now()
            let gradients = objective.gradients(of: model, images: images, texts: texts[step]).gradients
            optimizer.update(
                model.optimized, gradients, factor: Gradients.clipFactor(norm: gradients.norm, limit: 1), rate: 1e-4)
            model.clampLogitScale()
            if step >= 2 { times.append(Machine.now() - start) }
        }
        let kernels = device.take()
        let total = times.reduce(0, +)
        times.sort()
        let products = Double(kernels.values.reduce(0) { $0 + $1.flops }) / Double(steps)
        var report = BenchReport(
            "step: \(config), batch \(batch), \(captions.name), \(objective.rawValue), \(device.name), "
                + "\(model.parameterCount) parameters")
        report.add("pairs_per_second", Double(batch) / times.median, "%.2f pairs/s")
        report.add("seconds_per_step", times.median, "%.4f s per step, the median")
        report.add("fastest_step", times[0], "%.4f s the fastest")
        report.add("slowest_step", times.last!, "%.4f s the slowest")
        report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
        report.add(
            bytes: Machine.peakMemory - 16 * model.parameterCount, "peak_memory_less_parameters",
            "of it beyond 16 bytes a parameter")
        report.addProducts(products, seconds: times.median, threads: options.machine.threads)
        report.add(profile: kernels, repetitions: steps, total: total)
        report.print(options)
    }
}

/// Images of normal noise [B,3,H,W].
func randomImages(_ count: Int, _ blueprint: Blueprint, _ device: any Device) -> Tensor {
    var stream = RandomStream(seed: 1, purpose: "bench")
    let shape = [count, 3, blueprint.vision.height, blueprint.vision.width]
    return device.tensor((0..<shape.reduce(1, *)).map { _ in Float(stream.normal()) }, shape: shape)
}

/// Where a benchmark's captions come from.
struct BenchCaptions: ParsableArguments {
    @Option(help: "A file with a caption a line; default: random ones of full length.") var captions: String?
    @Option(help: "The tokenizer of --captions.") var tokenizer = "Tokenizers/clip-bpe"

    var name: String { captions.map { "captions of \($0)" } ?? "full-length captions" }

    /// Batches of token ids, the lines taken in turn.
    func batches(of size: Int, _ blueprint: Blueprint, count: Int, path: String) throws -> [TokenBatch] {
        let (length, vocabulary) = (blueprint.text.contextLength, blueprint.text.vocabulary)
        guard vocabulary > 2 else { throw Failure(.badData, path, "text_cfg.vocab_size is too small") }
        if let captions {
            let tokenizer = try TokenizerCard(tokenizer).load()
            guard tokenizer.vocabularySize <= vocabulary else {
                throw Failure(.badData, path, "has a smaller vocabulary than \(self.tokenizer)")
            }
            let lines = String(decoding: try readFile(captions), as: UTF8.self).split(separator: "\n").map(String.init)
            guard !lines.isEmpty else { throw Failure(.badData, captions, "holds no captions") }
            return (0..<count).map { batch in
                let ids = (0..<size).flatMap {
                    tokenizer.row(lines[(batch * size + $0) % lines.count], contextLength: length)
                }
                return TokenBatch(ids, contextLength: length)
            }
        }
        var stream = RandomStream(seed: 1, purpose: "bench captions")
        let end = if case .eos(let id) = blueprint.text.pooling { Int32(id) } else { Int32(vocabulary - 1) }
        return (0..<count).map { _ in
            let ids = (0..<size).flatMap { _ in
                (0..<length - 1).map { _ in 2 + Int32(stream.integer(below: max(1, vocabulary - 3))) } + [end]
            }
            return TokenBatch(ids, contextLength: length)
        }
    }
}
