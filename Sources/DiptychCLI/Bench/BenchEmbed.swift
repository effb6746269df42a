import Learning
import ArgumentParser
import Encoders
import Foundation
import Layers
import Support
import TensorCore

struct BenchEmbed: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Encode images or captions.",
        discussion: """
            EXAMPLES
              diptych bench embed --config Recipes/models/ViT-B-32.json --batch 16
              diptych bench embed --config Recipes/models/ViT-B-32.json --what texts --batch 64 --captions captions.txt
            """)

    enum Part: String, ExpressibleByArgument, CaseIterable { case images, texts }

    @Option(help: "Images or captions at a time.") var batch = 64
    @Option(help: "Timed batches, after one that is not.") var rounds = 7
    @Option(help: "images or texts.") var what = Part.images
    @OptionGroup var subject: BenchModel
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard batch > 0, rounds > 0 else { throw ValidationError("--batch and --rounds must be positive.") }
    }

    func execute() throws {
        let bare = try options.device()
        let peak = options.matmulPeak(on: bare)
        let device = ProfilingDevice(bare)
        let model = try subject.model(on: device)
        let images = subject.images(what == .images ? batch : 1, model)
        let texts = what == .texts ? try subject.captions(batch, model, batches: rounds + 1) : []
        var round = 0
        let times = timed(rounds) {
            if round == 1 { _ = device.take() }
            withoutTape {
                _ = what == .images ? model.encode(images: images().values) : model.encode(texts: texts[round])
            }
            device.fence()
            round += 1
        }
        let kernels = device.take().entries
        let total = times.reduce(0, +)
        var report = BenchReport(
            "embed \(what.rawValue): \(subject.config), batch \(batch), "
                + (what == .texts ? subject.captionName + ", " : "") + device.name)
        report.add("per_second", Double(batch) / times.median, "%.2f \(what.rawValue)/s")
        report.add("fastest_per_second", Double(batch) / times[0], "%.2f at the fastest")
        report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
        report.addProducts(
            Double(kernels.values.reduce(0) { $0 + $1.flops }), seconds: total, peakBefore: peak,
            peakAfter: options.matmulPeak(on: bare))
        report.add(profile: kernels, repetitions: rounds, total: total)
        try report.print(options)
    }
}
