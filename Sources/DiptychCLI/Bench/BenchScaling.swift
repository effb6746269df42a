import ArgumentParser
import Encoders
import Foundation
import Layers
import Learning
import Objectives
import Optimizers
import Support
import TensorCore

struct BenchScaling: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "scaling", abstract: "Foretell a step's time over many processes, from what one does here.",
        discussion: """
            Counts the products of a step of the model, takes a process's rate from such a step here (or from --rate, of
            another machine) and the rates of the links from the options, and adds up what the step waits for
            (docs/distributed.md has the formulas). `bench exchange` under mpirun measures links, and steps to compare with.

            EXAMPLES
              diptych bench scaling --config Recipes/models/ViT-B-32.json --batch 32768 --ranks 8,64,256,1024 \\
                --rate 400e12 --memory 2.5e12 --node-ranks 8 --node-link 225e9 --link 100e9
              diptych bench scaling --config Recipes/models/flickr8k.json --batch 128 --ranks 2 --threads 1 --link 1.4e9
            """)

    @Option(help: "Pairs per step, of all processes.") var batch = 32768
    @Option(help: "Numbers of processes, by commas.") var ranks = "1,2,4,8"
    @Option(help: "Slices of a step that a process holds.") var slicesPerRank = 1
    @Option(help: "softmax or sigmoid.") var objective = Objective.softmax
    @Option(help: "FLOP/s of a process in towers and loss; default: measured here.") var rate: Double?
    @Option(help: "Bytes/s of a process's memory, for the optimiser; default: from its time here.") var memory: Double?
    @Option(help: "Processes of a machine.") var nodeRanks = 1
    @Option(help: "Bytes/s that a machine sends to others.") var link = 12.5e9
    @Option(help: "Bytes/s that a process sends to others of its machine.") var nodeLink = 10e9
    @Option(help: "Seconds that a message takes by itself.") var delay = 20e-6
    @Option(help: "Pairs of the step that is counted and timed here.") var sample = 8
    @OptionGroup var subject: BenchModel
    @Flag(help: "Print JSON on standard output.") var json = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
        guard batch > 0, slicesPerRank > 0, nodeRanks > 0, sample > 1, delay >= 0,
            [rate ?? 1, memory ?? 1, link, nodeLink].allSatisfy({ $0 > 0 })
        else { throw ValidationError("Sizes and rates must be positive, --sample at least 2.") }
        let counts = ranks.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard !counts.isEmpty, counts.allSatisfy({ ($0 ?? 0) > 0 && batch % ($0 ?? 1) == 0 }) else {
            throw ValidationError("--ranks are numbers that divide --batch, by commas.")
        }
    }

    func execute() throws {
        let device = ProfilingDevice(try machine.device())
        let cost = try cost(on: device)
        let steps = ranks.split(separator: ",").compactMap { Int($0) }.map(cost.step)
        if json {
            return try answer(JSON.array(steps.map(\.json)).text(indent: 2))
        }
        try answer(
            "scaling: \(subject.config), batch \(batch), \(objective.rawValue), one process here: \(device.name)")
        try answer(
            String(
                format: "  %.2f GFLOP a pair, %.1f M parameters, %.4g FLOP/s and %.4g bytes/s of memory a process",
                cost.flopsPerPair / 1e9, cost.parameters / 1e6, cost.rate, cost.memory))
        try answer(
            String(
                format: "  %d processes a machine; bytes/s: %.4g inside, %.4g between; %.1f us a message", nodeRanks,
                nodeLink, link, delay * 1e6))
        try answer(
            "  ranks  pairs each  towers s    loss s  features s  gradients s  waited s   AdamW s    step s  pairs/s  efficiency"
        )
        for step in steps { try answer(step.line) }
    }

    /// The inputs: counted and, where no option says them, measured.
    private func cost(on device: ProfilingDevice) throws -> StepCost {
        let model = try subject.model(on: device)
        let images = subject.images(sample, model)
        let texts = try subject.captions(sample, model, batches: 1)
        var step = Step(.contrastive(model, objective), AdamW(.init()), StepSettings(clip: 1))
        var times: [Double] = []
        for _ in 0..<(rate != nil && memory != nil ? 1 : 4) {
            _ = device.take()
            let start = Machine.now()
            _ = try step(PairBatch(images: images(), texts: texts[0]), rate: 1e-4).wait()
            times.append(Machine.now() - start)
        }
        let kernels = device.take().entries
        let flops = Double(kernels.values.reduce(0) { $0 + $1.flops })
        let optimizer = kernels.filter { $0.key.hasPrefix("AdamW") }.values.reduce(0) { $0 + $1.seconds }
        let parameters = Double(model.parameterCount)
        let seconds = times.dropFirst().min() ?? times[0]
        guard memory != nil || optimizer > 0 else {
            throw Failure(.usage, "--memory", "the optimiser's time cannot be measured on this device")
        }
        return StepCost(
            flopsPerPair: flops / Double(sample), parameters: parameters,
            width: Double(model.blueprint.embedWidth), batch: Double(batch),
            lossProducts: objective == .softmax ? 6 : 4, slices: Double(slicesPerRank),
            rate: rate ?? flops / (seconds - optimizer),
            memory: memory ?? StepCost.optimizerBytes * parameters / optimizer,
            links: StepCost.Links(nodeRanks: nodeRanks, inside: nodeLink, between: link, delay: delay))
    }
}
