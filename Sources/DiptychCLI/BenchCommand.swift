import ArgumentParser
import Encoders
import Foundation
import Layers
import Objectives
import Optimizers
import Support
import TensorCPU
import TensorCore
import Training

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure speed and memory, with the machine's own matmul peak beside them.",
        subcommands: [BenchStep.self])
}

struct BenchStep: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Training steps on random images and full-length captions.",
        discussion: """
            EXAMPLES
              diptych bench step --config Recipes/models/flickr8k-softmax.json --batch 128
              diptych bench step --config Recipes/models/ViT-B-32.json --batch 32 --json
            """)

    @Option(help: "A model configuration, as open_clip's.") var config: String
    @Option(help: "Pairs per step.") var batch = 128
    @Option(help: "Timed steps, after two that are not.") var steps = 5
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @Option(help: "Tokens per caption; default: the context length.") var tokens: Int?
    @Flag(help: "Print JSON on standard output.") var json = false
    @Flag(help: "Also print the time of every kernel, by its share of the steps.") var profile = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
        guard batch > 0, steps > 0, tokens ?? 1 > 0 else {
            throw ValidationError("--batch, --steps and --tokens must be positive.")
        }
    }

    func execute() throws {
        // Its clock is read a few hundred times a step: too little to tell.
        let device = ProfilingDevice(machine.device())
        let blueprint = try Blueprint(JSON(file: config), path: config)
        guard blueprint.text.vocabulary > 2 else { throw Failure(.badData, config, "text_cfg.vocab_size is too small") }
        let model = try DualEncoder(FreshParameters(on: device, seed: 0), blueprint)
        let (images, texts) = randomBatch(blueprint, device)
        var optimizer = AdamW(.init())
        var times: [Double] = []
        for step in 0..<steps + 2 {
            if step == 2 { _ = device.take() }
            let start = Machine.now()
            let gradients = objective.gradients(of: model, images: images, texts: texts).gradients
            optimizer.update(
                model.optimized, gradients, factor: Gradients.clipFactor(norm: gradients.norm, limit: 1), rate: 1e-4)
            model.clampLogitScale()
            if step >= 2 { times.append(Machine.now() - start) }
        }
        let kernels = device.take()
        let total = times.reduce(0, +)
        times.sort()
        let median = times[times.count / 2]
        let peak = matmulPeak(threads: machine.threads)
        let products = Double(kernels.values.reduce(0) { $0 + $1.flops }) / Double(steps)
        let results: [(String, JSON, String)] = [
            (
                "pairs_per_second", .number(Double(batch) / median),
                String(format: "%.2f pairs/s", Double(batch) / median)
            ),
            (
                "seconds_per_step", .number(median),
                String(format: "%.4f s per step (%.4f to %.4f)", median, times[0], times.last!)
            ),
            (
                "gflops", .number(products / median / 1e9),
                String(format: "%.1f GFLOP/s in products", products / median / 1e9)
            ),
            (
                "matmul_peak_gflops", .number(peak / 1e9),
                String(format: "%.1f GFLOP/s matmul peak of this run", peak / 1e9)
            ),
            (
                "share_of_peak", .number(products / median / peak),
                String(format: "%.1f %% of that peak", 100 * products / median / peak)
            ),
            ("peak_memory_bytes", .integer(Machine.peakMemory), "\(formatBytes(Machine.peakMemory)) peak memory"),
        ]
        if json {
            print(JSON.object(Dictionary(uniqueKeysWithValues: results.map { ($0.0, $0.1) })).text(indent: 2))
        } else {
            print(
                "step: \(config), batch \(batch), \(objective.rawValue), \(device.name), \(model.parameterCount) parameters"
            )
            for result in results { print("  \(result.2)") }
            if profile { printProfile(kernels, steps: steps, total: total) }
        }
    }

    private func randomBatch(_ blueprint: Blueprint, _ device: any Device) -> (Tensor, TokenBatch) {
        var stream = RandomStream(seed: 1, purpose: "bench")
        let shape = [batch, 3, blueprint.vision.height, blueprint.vision.width]
        let images = device.tensor((0..<shape.reduce(1, *)).map { _ in Float(stream.normal()) }, shape: shape)
        let (length, vocabulary) = (blueprint.text.contextLength, blueprint.text.vocabulary)
        let used = min(tokens ?? length, length)
        let end = if case .eos(let id) = blueprint.text.pooling { Int32(id) } else { Int32(vocabulary - 1) }
        let ids: [Int32] = (0..<batch).flatMap { _ in
            (0..<length).map { position -> Int32 in
                if position >= used { return 0 }
                return position == used - 1 ? end : Int32(2 + stream.integer(below: max(1, vocabulary - 3)))
            }
        }
        return (images, TokenBatch(ids, contextLength: length))
    }
}

/// The rate of a large product on this machine, now, FLOP/s: the best of five by OpenBLAS and five of our own.
func matmulPeak(threads: Int?) -> Double {
    let size = 1536
    let times = [false, true].flatMap { own in
        let device = CPUDevice(threads: threads, ownProducts: own)
        let a = device.filled(0.5, shape: [size, size])
        let b = device.filled(0.25, shape: [size, size])
        return (0..<6).map { _ in
            let start = Machine.now()
            _ = matmul(a, b)
            return Machine.now() - start
        }
    }
    return 2 * Double(size * size * size) / times.min()!
}

/// Kernels by the time they took, and what the steps spent outside of them.
func printProfile(_ kernels: [String: ProfilingDevice.Entry], steps: Int, total: Double) {
    let inside = kernels.values.reduce(0) { $0 + $1.seconds }
    print("     share   ms/step  calls/step   GFLOP/s  kernel")
    for (name, entry) in kernels.sorted(by: { ($0.value.seconds, $1.key) > ($1.value.seconds, $0.key) }) {
        let rate = entry.flops == 0 ? "" : String(format: "%.1f", Double(entry.flops) / entry.seconds / 1e9)
        print(
            String(
                format: "  %6.2f %% %9.2f %11d  ", 100 * entry.seconds / total, 1000 * entry.seconds / Double(steps),
                entry.calls / steps) + String(repeating: " ", count: max(0, 8 - rate.count)) + rate + "  " + name)
    }
    print(
        String(
            format: "  %6.2f %% %9.2f                        outside kernels", 100 * (total - inside) / total,
            1000 * (total - inside) / Double(steps)))
}

extension Objective: ExpressibleByArgument {}
