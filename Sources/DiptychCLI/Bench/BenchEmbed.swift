import ArgumentParser
import Encoders
import Foundation
import Layers
import Support
import TensorCore

struct BenchEmbed: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Encode images and captions.",
        discussion: """
            EXAMPLES
              diptych bench embed --config Recipes/models/ViT-B-32.json --batch 16
              diptych bench embed --config Recipes/models/ViT-B-32.json --only texts --batch 64 --captions captions.txt
            """)

    enum Part: String, ExpressibleByArgument, CaseIterable { case images, texts }

    @Option(help: "A model configuration, as open_clip's.") var config: String
    @Option(help: "Images or captions at a time.") var batch = 64
    @Option(help: "Timed batches, after one that is not.") var rounds = 7
    @Option(help: "images or texts; default: both.") var only: Part?
    @OptionGroup var captions: BenchCaptions
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard batch > 0, rounds > 0 else { throw ValidationError("--batch and --rounds must be positive.") }
    }

    func execute() throws {
        let device = ProfilingDevice(options.machine.device())
        let blueprint = try Blueprint(JSON(file: config), path: config)
        let model = try DualEncoder(FreshParameters(on: device, seed: 0), blueprint)
        let images = randomImages(batch, blueprint, device)
        let texts = try captions.batches(of: batch, blueprint, count: rounds + 1, path: config)
        for part in only.map({ [$0] }) ?? Part.allCases {
            var round = 0
            let times = timed(rounds) {
                if round == 1 { _ = device.take() }
                withoutTape {
                    _ = part == .images ? model.encode(images: images) : model.encode(texts: texts[round])
                }
                round += 1
            }
            let kernels = device.take()
            var report = BenchReport(
                "embed \(part.rawValue): \(config), batch \(batch), "
                    + (part == .texts ? captions.name + ", " : "") + device.name)
            report.add("per_second", Double(batch) / times.median, "%.2f \(part.rawValue)/s")
            report.add("fastest_per_second", Double(batch) / times[0], "%.2f at the fastest")
            report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
            let total = times.reduce(0, +)
            report.addProducts(
                Double(kernels.values.reduce(0) { $0 + $1.flops }), seconds: total, threads: options.machine.threads)
            report.add(profile: kernels, repetitions: rounds, total: total)
            report.print(options)
        }
    }
}
