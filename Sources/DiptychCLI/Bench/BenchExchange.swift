import ArgumentParser
import Encoders
import Foundation
import Layers
import Learning
import Objectives
import Optimizers
import Processes
import Support
import TensorCore

struct BenchExchange: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange", abstract: "What travels between processes in a training step, and how fast.",
        discussion: """
            Run it under mpirun: the rate and the delay of the link between these processes, then training steps on random
            images and captions in slices, with the bytes a process sends and the time it waits for others. One process
            alone runs the same steps.

            EXAMPLES
              mpirun -n 2 --bind-to none diptych bench exchange --config Recipes/models/flickr8k.json --batch 128
              diptych bench exchange --config Recipes/models/flickr8k.json --batch 128 --slices 2
            """)

    @Option(help: "Pairs per step, of all processes.") var batch = 128
    @Option(help: "Slices of a step; default: one for each process.") var slices: Int?
    @Option(help: "Timed steps, after two that are not.") var steps = 5
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @OptionGroup var subject: BenchModel
    @Flag(help: "Print JSON on standard output.") var json = false
    @OptionGroup var machine: MachineOptions
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        guard batch > 0, steps > 0, (slices ?? 1) > 0 else {
            throw ValidationError("--batch, --steps and --slices must be positive.")
        }
    }

    func execute() throws {
        let processes = try Ranks.join(patience: ranks.patience)
        let group = CountingGroup(processes)
        let count = slices ?? group.size
        try group.agreeing {
            try TreeSum.check(batch: batch, slices: count, ranks: group.size, place: "bench exchange")
        }
        let device = try machine.device(group: processes)
        var report = BenchReport(
            "exchange: \(subject.config), batch \(batch) in \(count) slices, \(group.size) processes, \(device.name)")
        let link = group.size > 1 ? try Link(measuredOver: group) : nil
        _ = group.take()
        let model = try subject.model(on: device)
        let share = batch / group.size
        let images = subject.images(share, model)
        let texts = try subject.captions(share, model, batches: steps + 2)
        var step = Step(
            .contrastive(model, objective), AdamW(.init()), StepSettings(clip: 1), Slicing(group, slices: count))
        var (times, waited) = ([Double](), 0.0)
        for round in 0..<steps + 2 {
            if round == 2 { (_, waited) = (group.take(), group.waited) }
            let start = Machine.now()
            _ = try step(PairBatch(images: images(), texts: texts[round]), rate: 1e-4).wait()
            if round >= 2 { times.append(Machine.now() - start) }
        }
        let seconds = times.reduce(0, +)
        times.sort()
        report.add("pairs_per_second", Double(batch) / times.median, "%.2f pairs/s")
        report.add("seconds_per_step", times.median, "%.4f s per step, the median")
        if let link {
            let sent = group.take().mapValues { Double($0) / Double(steps) }
            let waits = (group.waited - waited) / Double(steps)
            addExchange(&report, link, sent, waits, seconds / Double(steps), model, group.size)
        }
        try report.print(isJSON: json)
    }

    /// Bytes beside what the formulas say, and seconds beside what the link would take for them.
    private func addExchange(
        _ report: inout BenchReport, _ link: Link, _ sent: [String: Double], _ waited: Double, _ seconds: Double,
        _ model: DualEncoder, _ size: Int
    ) {
        let (others, width) = (Double(size - 1), Double(model.blueprint.embedWidth))
        let parameters = Double(model.parameterCount)
        report.add("link_bytes_per_second", link.rate, "%.4g bytes/s sent by a process while all send")
        report.add("link_delay_seconds", link.delay, "%.2g s for 64 bytes of every process at every other")
        let features = (sent["features of the texts"] ?? 0) + (sent["features of the images"] ?? 0)
        report.add("feature_bytes", features, "%.0f bytes of features a step and process")
        report.add(
            "feature_bytes_formula", 8 * Double(batch / size) * width * others, "%.0f by 8 (B/W) E (W-1)")
        report.add("gradient_bytes", sent["gradients"] ?? 0, "%.0f bytes of gradients")
        report.add("weight_bytes", sent["weights"] ?? 0, "%.0f bytes of weights")
        report.add("gradient_bytes_formula", 4 * parameters * others / Double(size), "%.0f of each by 4 P (W-1) / W")
        let all = sent.values.reduce(0, +)
        report.add("all_bytes", all, "%.0f bytes in all")
        report.add("exchange_fraction", waited / seconds, "%.4f of a step waiting for others")
        report.add("link_seconds", all / link.rate, "%.4f s that these bytes take by themselves")
        report.add("waited_seconds", waited, "%.4f s waited")
    }
}

/// How fast bytes travel between these processes.
private struct Link {
    /// Bytes a second that a process sends while all do.
    let rate: Double
    /// Seconds from sending a few bytes to all to having those of all.
    let delay: Double

    /// Collective.
    init(measuredOver group: any ProcessGroup) throws {
        func seconds(_ bytes: Int, _ rounds: Int) throws -> Double {
            let (mine, all) = (HostBytes(count: bytes), HostBytes(count: bytes * group.size))
            return try timed(rounds) { try group.allGather(mine, into: all, "the link").wait() }.median
        }
        delay = try seconds(64, 200)
        let bytes = 25_000_000 / group.size
        rate = Double(bytes * (group.size - 1)) / (try seconds(bytes, 10))
    }
}
