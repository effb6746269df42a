import ArgumentParser
import Evaluation
import Foundation
import Learning
import Objectives
import Processes
import Support
import TensorCore

struct BenchLoss: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "loss", abstract: "The contrastive loss and its gradients on random features.",
        discussion: """
            Its products are 4 of batch x batch x width for softmax, 3 for sigmoid; over several processes 6 and 4, shared
            out among them.

            EXAMPLES
              diptych bench loss --batch 32768 --width 512 --objective sigmoid
              mpirun -n 2 --bind-to none diptych bench loss --batch 32768 --width 512
            """)

    @Option(help: "Pairs.") var batch = 32768
    @Option(help: "Width of the features.") var width = 512
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @Option(help: "Timed rounds, after one that is not.") var rounds = 1
    @OptionGroup var options: BenchOptions
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        guard batch > 0, width > 0, rounds > 0 else {
            throw ValidationError("--batch, --width and --rounds must be positive.")
        }
    }

    func execute() throws {
        let group = try Ranks.join(patience: ranks.patience)
        if group.size > 1 { return try executeStrips(over: group) }
        let bare = try options.device()
        let peak = options.matmulPeak(on: bare)
        let device = ProfilingDevice(bare)
        let images = randomFeatures(batch, width, seed: 1, device)
        let texts = randomFeatures(batch, width, seed: 2, device)
        let scale = device.filled(logf(10), shape: []).watched()
        let bias = objective == .sigmoid ? device.filled(-10, shape: []).watched() : nil
        Machine.restartPeakMemory()
        let before = Machine.peakMemory
        var round = 0
        let times = timed(rounds) {
            if round == 1 { _ = device.take() }
            round += 1
            let (x, y) = (images.watched(), texts.watched())
            objective.loss(images: x, texts: y, logScale: scale, logitBias: bias).backward()
            device.fence()
        }
        let products = Double(objective == .softmax ? 4 : 3) * 2 * Double(batch) * Double(batch) * Double(width)
        var report = BenchReport("loss: \(objective.rawValue), batch \(batch), width \(width), \(device.name)")
        report.add("seconds", times.median, "%.3f s with gradients")
        report.add(bytes: Machine.peakMemory - before, "extra_memory_bytes", "beyond the features")
        report.addProducts(
            products, seconds: times.median, peakBefore: peak, peakAfter: options.matmulPeak(on: bare))
        report.add(profile: device.take().entries, repetitions: rounds, total: times.reduce(0, +))
        try report.print(options)
    }
}

extension BenchLoss {
    /// Every rank the gradients of its own rows, as in training over several processes.
    private func executeStrips(over group: any ProcessGroup) throws {
        guard batch % group.size == 0 else {
            throw group.agreed(Failure(.usage, "--batch \(batch)", "is not shared out among \(group.size) processes"))
        }
        let device = try options.machine.device(options.precision.precision, group: group)
        let rows = batch / group.size
        let images = randomFeatures(rows, width, seed: UInt64(2 * group.rank + 1), device)
        let texts = randomFeatures(rows, width, seed: UInt64(2 * group.rank + 2), device)
        let scale = device.filled(logf(10), shape: [])
        let bias = objective == .sigmoid ? device.filled(-10, shape: []) : nil
        Machine.restartPeakMemory()
        let before = Machine.peakMemory
        let times = try timed(rounds) {
            let loss = GatheredLoss(objective, group, slice: rows)
            let (allTexts, allImages) = (loss.gather(texts, "texts"), loss.gather(images, "images"))
            _ = try loss(
                images: (images, try allImages()), texts: (texts, try allTexts()), logScale: scale, logitBias: bias)
            device.fence()
        }
        let memory = try group.gathered([Double(Machine.peakMemory - before)], "memory").map { $0[0] }.max() ?? 0
        var report = BenchReport(
            "loss: \(objective.rawValue), batch \(batch), width \(width), \(group.size) processes, \(device.name)")
        report.add("seconds", times.median, "%.3f s with gradients")
        report.add(bytes: Int(memory), "extra_memory_bytes", "beyond a process's own features, at most")
        report.add(bytes: 8 * batch * width, "gathered_bytes", "of it the features of all")
        try report.print(options)
    }
}

struct BenchRetrieval: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "retrieval", abstract: "The recalls of random features, both ways.",
        discussion: """
            EXAMPLES
              diptych bench retrieval --images 5000 --captions 25000 --width 512
            """)

    @Option(help: "Images.") var images = 5000
    @Option(help: "Captions, spread evenly over the images.") var captions = 25000
    @Option(help: "Width of the features.") var width = 512
    @Option(help: "Timed rounds, after one that is not.") var rounds = 3
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard images > 0, captions >= images, width > 0, rounds > 0 else {
            throw ValidationError("--images, --width and --rounds must be positive, --captions at least --images.")
        }
    }

    func execute() throws {
        let bare = try options.device()
        let peak = options.matmulPeak(on: bare)
        let device = ProfilingDevice(bare)
        let (x, y) = (randomFeatures(images, width, seed: 1, device), randomFeatures(captions, width, seed: 2, device))
        let owner = (0..<captions).map { $0 * images / captions }
        Machine.restartPeakMemory()
        let before = Machine.peakMemory
        var round = 0
        let times = timed(rounds) {
            if round == 1 { _ = device.take() }
            round += 1
            let ranks = Retrieval.ranks(images: x, texts: y, owner: owner)
            _ = Retrieval.metrics(ranks, owner: owner).map(\.value)
        }
        var report = BenchReport("retrieval: \(images) images, \(captions) captions, width \(width), \(device.name)")
        report.add("seconds", times.median, "%.3f s for the six recalls, without intervals")
        report.add(bytes: Machine.peakMemory - before, "extra_memory_bytes", "beyond the features")
        report.addProducts(
            2 * Double(images) * Double(captions) * Double(width), seconds: times.median, peakBefore: peak,
            peakAfter: options.matmulPeak(on: bare))
        report.add(profile: device.take().entries, repetitions: rounds, total: times.reduce(0, +))
        try report.print(options)
    }
}
