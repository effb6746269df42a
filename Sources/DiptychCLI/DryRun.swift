import Images
import Encoders
import StrictYAML
import Foundation
import Layers
import Report
import Shards
import Support
import TensorCore
import Training

/// What `train --dry-run` shows.
struct DryRun {
    private let recipe: Recipe
    private let setup: TrainingSetup
    private let parameters: Int

    init(_ recipe: Recipe, device: any Device) throws {
        self.recipe = recipe
        setup = try TrainingSetup(recipe)
        let (model, notes) = try setup.model(on: device)
        parameters = model.parameterCount
        (setup.notes + notes + (try setup.checkHeldOut())).forEach(say)
    }

    func show(sheet path: String) throws {
        try answer("parameters   \(parameters)")
        try answer("samples      \(setup.order.count) an epoch, \(setup.steps) steps of \(recipe.batch)")
        try answer(
            "memory       about \(formatBytes(memoryEstimate)): weights, gradients and two moments, and the values of one chunk"
        )
        let batches = try Batcher(setup.order, setup.plan, tokenizer: setup.tokenizer)
        defer { batches.stop() }
        let batch = try batches.next()
        let cards = (0..<batch.count).map { index in
            ContactSheet.Card(
                picture: batch.image(index).jpeg(quality: 85).base64EncodedString(), title: batch.keys[index].shownName,
                text: batch.captions[index])
        }
        try Files.makeFolder(Files.parent(of: path))
        try AtomicFile.write(ContactSheet.html(title: "First batch of \(recipe.file.path)", cards), to: path)
        try answer("first batch  \(path)")
    }

    /// 16 bytes a parameter, its copy that towers compute with, and what the backward pass keeps of one chunk.
    private var memoryEstimate: Int {
        let text = setup.blueprint.text
        let pairs = min(recipe.chunk ?? recipe.batch, recipe.batch)
        let image = setup.blueprint.vision.keptValues(recomputes: recipe.model.recomputes)
        let caption = text.blocks.keptValues(tokens: text.contextLength, recomputes: recipe.model.recomputes)
        let element = recipe.precision.element
        let copy = element == .float32 ? 0 : element.bytes
        return parameters * (16 + copy) + pairs * (image + caption) * element.bytes
    }
}
