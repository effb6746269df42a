import Layers
import ArgumentParser
import Encoders
import Foundation
import Learning
import Objectives
import Optimizers
import Support
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
    @Option(help: "Pairs whose values are held at a time; default: all.") var chunk: Int?
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @OptionGroup var subject: BenchModel
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard batch > 0, steps > 0 else { throw ValidationError("--batch and --steps must be positive.") }
    }

    func execute() throws {
        let bare = try options.device()
        let peak = options.matmulPeak(on: bare)
        let device = ProfilingDevice(bare)
        device.marksCalls(bare.peakMemory == nil)  // a few hundred times a step: too little to tell on a CPU
        let model = try subject.model(on: device)
        let images = subject.images(batch, model)
        let texts = try subject.captions(batch, model, batches: steps + 3)
        var settings = StepSettings(clip: 1, chunk: chunk)
        settings.element = options.precision.precision.element
        var step = Step(.contrastive(model, objective), AdamW(.init()), settings)
        // As training does: a step's numbers are read when the next one is under way.
        var (times, last, late): ([Double], Double, StepResult?) = ([], Machine.now(), nil)
        for round in 0..<steps + 3 {
            if round == 2 { _ = device.take() }
            let result = try step(PairBatch(images: images(), texts: texts[round]), rate: 1e-4)
            _ = late?.wait()
            late = result
            let now = Machine.now()
            if round >= 3 { times.append(now - last) }
            last = now
            if let failure = device.failure {
                throw Failure(.machine, device.name, failure.problem, remedy: failure.remedy)
            }
        }
        let isFinite = late?.wait().isFinite ?? false
        guard isFinite else { throw Failure(.machine, device.name, "the last step's loss is not finite") }
        var (kernels, waits) = device.take()
        kernels = kernels.mapValues { entry in
            var entry = entry
            entry.flops = entry.flops * steps / (steps + 1)
            return entry
        }
        if options.profile, bare.peakMemory != nil {
            kernels = try profile(&step, device, images, texts[0])
        }
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
        let memory = bare.peakMemory ?? Machine.peakMemory
        report.add(bytes: memory, "peak_memory_bytes", "peak memory")
        report.add(
            bytes: memory - 16 * model.parameterCount, "peak_memory_less_parameters",
            "of it beyond 16 bytes a parameter")
        report.addProducts(
            products, seconds: times.median, peakBefore: peak, peakAfter: options.matmulPeak(on: bare))
        report.add(
            "host_waits_per_step", Double(waits) / Double(steps + 1), "%.0f times a step the host waited for the device"
        )
        report.add(profile: kernels, repetitions: steps, total: total)
        try report.print(options)
    }

    /// The same steps once more on a device that queues, with a mark on either side of every call.
    private func profile(
        _ step: inout Step, _ device: ProfilingDevice, _ images: () -> ImageBatch, _ texts: TokenBatch
    ) throws -> [String: ProfilingDevice.Entry] {
        device.marksCalls(true)
        for _ in 0..<steps { _ = try step(PairBatch(images: images(), texts: texts), rate: 1e-4).wait() }
        return device.take().entries
    }
}
