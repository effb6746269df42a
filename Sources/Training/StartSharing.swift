import Foundation
import Layers
import StrictYAML
import Encoders
import Learning
import Optimizers
import Processes
import Shards
import Support
import TensorCore

extension TrainingSetup {
    /// The slots of each batch that a rank fills; nil: all.
    func share(_ group: any ProcessGroup) -> Range<Int>? {
        let size = recipe.batch / group.size
        return group.size == 1 ? nil : group.rank * size..<(group.rank + 1) * size
    }

    /// How a batch is cut; nil: one undivided batch in one process.
    ///
    /// - Throws: `Failure(.usage)` for numbers that do not fit, `Failure(.badData)` when ranks see other data
    func slicing(_ group: any ProcessGroup) throws -> Slicing? {
        guard isSliced else { return nil }
        let slices = recipe.slices ?? group.size
        do {
            try TreeSum.check(batch: recipe.batch, slices: slices, ranks: group.size, place: recipe.file.path)
        } catch let failure as Failure { throw group.agreed(failure) }
        let mine = SHA256.hex(
            order.sources.flatMap(\.shards).map { "\(Files.name(of: $0.path)) \($0.byteCount) \($0.count)" }
                .joined(separator: "\n"))
        let all = try group.texts(mine, "digests of the data")
        guard all[group.rank] == all[0] else {
            throw Failure(
                .badData, "data.train",
                "the shards here have other names, sizes or samples than at \(group.name(of: 0))",
                remedy: "Give every machine the same shards")
        }
        return Slicing(group, slices: slices)
    }

    /// A model of the recipe's form, whose values rank 0 sends.
    func replica(on device: any Device) throws -> Start {
        var model = try DualEncoder(FreshParameters(on: device, seed: recipe.seed), blueprint)
        _ = try prepare(&model)
        return Start(model: model, optimizer: AdamW(recipe.optimizer.settings))
    }
}

extension Start {
    /// rank 0's start at every rank. Values go one tensor at a time.
    ///
    /// - Throws: `Failure(.machine)` when ranks cannot be reached
    func shared(over group: any ProcessGroup) throws -> Start {
        guard group.size > 1 else { return self }
        var start = self
        let told = try JSON(
            parsing: Data(group.shared(described.text(), "the start").utf8), path: "the start of rank 0")
        start.state = Checkpoint(shared: told["state"] ?? .null)
        start.seedStep = told["seed_step"]?.integer ?? 0
        start.optimizer.step = told["optimizer_step"]?.integer ?? 0
        for parameter in model.state { try parameter.value.receive(from: group, parameter.name) }
        let values = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.name, $0.value) })
        for name in (told["moments"]?.array ?? []).compactMap({ $0.string }) {
            guard let value = values[name] else { continue }
            let device = value.device
            let moments =
                optimizer.moments[name]
                ?? AdamW.Moments(mean: device.empty(value.shape), square: device.empty(value.shape))
            try moments.mean.receive(from: group, "the moments of \(name)")
            try moments.square.receive(from: group, "the moments of \(name)")
            start.optimizer.moments[name] = moments
        }
        return start
    }

    private var described: JSON {
        [
            "state": state.json, "seed_step": .integer(seedStep), "optimizer_step": .integer(optimizer.step),
            "moments": .array(optimizer.moments.keys.sorted().map { .string($0) }),
        ]
    }
}

extension Tensor {
    /// rank 0's values, in place.
    fileprivate func receive(from group: any ProcessGroup, _ what: String) throws {
        let bytes = HostBytes(count: count * element.bytes)
        if group.isRoot { device.withValues(of: self) { bytes.part(0..<bytes.count).copyMemory(from: $0) } }
        try group.broadcast(bytes, from: 0, what).wait()
        if !group.isRoot { device.upload(bytes.bytes, into: self) }
    }
}
