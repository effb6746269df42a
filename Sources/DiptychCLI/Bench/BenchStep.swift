import Layers
import ArgumentParser
import Encoders
import Foundation
import Learning
import Objectives
import Optimizers
import Support
import TensorCPU
import TensorCore

struct BenchStep: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Training steps on random images and captions.",
        discussion: """
            Captions are full-length and random, or the lines of a file, in turn.

            EXAMPLES
              diptych bench step --config Recipes/models/flickr8k.json --batch 128
              diptych bench step --config Recipes/models/ViT-B-32.json --batch 32 --captions captions.txt --profile
            """)

    @Option(help: "Pairs per step.") var batch = 128
    @Option(help: "Timed steps, after two that are not.") var steps = 5
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @OptionGroup var subject: BenchModel
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard batch > 0, steps > 0 else { throw ValidationError("--batch and --steps must be positive.") }
    }

    func execute() throws {
        let peak = matmulPeak(threads: options.machine.threads)
        // Its clock is read a few hundred times a step: too little to tell.
        let device = try ProfilingDevice(options.machine.device())
        let model = try subject.model(on: device)
        let images = subject.images(batch, model)
        let texts = try subject.captions(batch, model, batches: steps + 2)
        var step = Step(.contrastive(model, objective), AdamW(.init()), StepSettings(clip: 1))
        var times: [Double] = []
        for round in 0..<steps + 2 {
            if round == 2 { _ = device.take() }
            let start = Machine.now()
            _ = try step(PairBatch(images: ImageBatch(images), texts: texts[round]), rate: 1e-4).wait()
            if round >= 2 { times.append(Machine.now() - start) }
        }
        let (kernels, waits) = device.take()
        let total = times.reduce(0, +)
        times.sort()
        let products = Double(kernels.values.reduce(0) { $0 + $1.flops }) / Double(steps)
        var report = BenchReport(
            "step: \(subject.config), batch \(batch), \(subject.captionName), \(objective.rawValue), \(device.name), "
                + "\(model.parameterCount) parameters")
        report.add("pairs_per_second", Double(batch) / times.median, "%.2f pairs/s")
        report.add("seconds_per_step", times.median, "%.4f s per step, the median")
        report.add("fastest_step", times[0], "%.4f s the fastest")
        report.add("slowest_step", times.largest, "%.4f s the slowest")
        report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
        report.add(
            bytes: Machine.peakMemory - 16 * model.parameterCount, "peak_memory_less_parameters",
            "of it beyond 16 bytes a parameter")
        report.addProducts(products, seconds: times.median, peakBefore: peak, threads: options.machine.threads)
        report.add(
            "host_waits_per_step", Double(waits) / Double(steps), "%.0f times a step the host waited for the device")
        report.add(profile: kernels, repetitions: steps, total: total)
        try report.print(options)
    }
}
