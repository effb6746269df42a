import Learning
import Models
import Encoders
import Foundation
import Layers
import Objectives
import Optimizers
import Support
import TensorCore
import Weights

extension Doctor {
    func modelCase(_ name: String) throws -> [StageResult] {
        let base = "models/\(name)/"
        let config = try JSON(file: path(base + "config.json"))
        if config["architectures"] != nil {
            return try huggingFaceCase(base)
        }
        let blueprint: Blueprint
        do { blueprint = try Blueprint(config, path: path(base + "config.json")) } catch let failure as Failure {
            return [StageResult("towers", .notRun(reason: failure.problem))]
        }
        let weights = path(base + "model.safetensors")
        let model = try ModelFolder.load(blueprint, weights: weights, on: device)
        let inputs = try Safetensors(path(base + "inputs.safetensors"))
        let expected = try Safetensors(path(base + "expected.safetensors"))
        let images = try inputs.tensor("images", on: device)
        let texts = TokenBatch(
            padded: try inputs.integers("tokens").map { Int32($0) }, contextLength: try inputs.entry("tokens").shape[1])
        var stages = try middle(model, images, texts, expected)
        stages += try features(model, images, texts, expected)
        if blueprint.hasCaptionDecoder {
            return stages + [
                StageResult("caption decoder, training", .notRun(reason: "CoCa's caption decoder is not built"))
            ]
        }
        if expected.entries["train_mode.image_features"] != nil {
            stages.append(try batchStatistics(blueprint, weights, images, expected))
        }
        let settings = try JSON(file: path(base + "expected.json"))
        let batch = PairBatch(images: ImageBatch(images), texts: texts)
        stages += try training(model, batch, expected, settings)
        func fresh() throws -> DualEncoder { try ModelFolder.load(blueprint, weights: weights, on: device) }
        stages.append(try threeSteps(fresh(), batch, expected, settings, clip: nil))
        let clipped = path(base + "expected_clip.safetensors")
        if Files.exists(clipped) {
            stages.append(try threeSteps(fresh(), batch, Safetensors(clipped), settings, clip: 1))
        }
        return stages
    }

    private func huggingFaceCase(_ base: String) throws -> [StageResult] {
        let folder = try HuggingFaceFolder(path(String(base.dropLast())))
        let model = try folder.load(on: device).model
        let inputs = try Safetensors(path(base + "inputs.safetensors"))
        let expected = try Safetensors(path(base + "expected.safetensors"))
        let images = try inputs.tensor("images", on: device)
        let texts = TokenBatch(
            padded: try inputs.integers("tokens").map { Int32($0) }, contextLength: try inputs.entry("tokens").shape[1])
        var hidden = Comparison(
            "last hidden states", Tolerance(absolute: 2e-5, relative: 1e-5),
            cause: "QuickGELU or GELU, layer-norm epsilon, causal mask or none")
        try withoutTape {
            var (lastImage, lastText): (Tensor?, Tensor?)
            _ = model.image(images) { lastImage = $1 }
            _ = model.text(texts, isPacked: false) { lastText = $1 }
            guard case .transformer(let tower) = model.image, case .transformer(let text) = model.text, let lastImage,
                let lastText
            else { return }
            // transformers norms SigLIP's image tokens before it hands them out, CLIP's after.
            let image = folder.isSigLIP ? tower.normAfter(lastImage) : lastImage
            hidden.compare(
                "vision_last_hidden_state", try expected.floats("vision_last_hidden_state"), image.floats)
            hidden.compare(
                "text_last_hidden_state", try expected.floats("text_last_hidden_state"),
                text.norm(lastText).floats)
        }
        return [hidden.result] + (try features(model, images, texts, expected))
    }

    /// open_clip's resize of position tables.
    func positionCases() throws -> [StageResult] {
        let file = try Safetensors(path("pos_embed/pos_embed.safetensors"))
        return try (JSON(file: path("pos_embed/cases.json")).array ?? []).map { item in
            let name = item["case"]?.string ?? ""
            var stage = Comparison(
                name, Tolerance(absolute: 1e-5, relative: 0),
                cause: "aligned corners, or the cubic's a (-0.5, not -0.75)")
            let (old, new) = (try file.entry(name + ".in").shape, try file.entry(name + ".out").shape)
            let table = try file.floats(name + ".in")
            let width = old[1]
            let resized: [Float]?
            if name.hasPrefix("text") {
                resized = PositionEmbedding.resized(table, width: width, toRows: new[0])
            } else {
                let side = Int(Double(new[0] - 1).squareRoot().rounded())
                resized = PositionEmbedding.resized(table, width: width, prefix: 1, toHeight: side, width: side)
            }
            stage.compare(name, try file.floats(name + ".out"), resized ?? [])
            return stage.result
        }
    }

    /// Features under the batch's own statistics.
    private func batchStatistics(_ blueprint: Blueprint, _ weights: String, _ images: Tensor, _ expected: Safetensors)
        throws -> StageResult
    {
        var model = try ModelFolder.load(blueprint, weights: weights, on: device)
        model.batchNorms = .batch
        var stage = Comparison(
            "image features in training", Tolerance(absolute: 2e-5, relative: 1e-5),
            cause: "biased or unbiased variance")
        let name = "train_mode.image_features"
        stage.compare(name, try expected.floats(name), withoutTape { model.image(images) }.floats)
        return stage.result
    }

    private func middle(_ model: DualEncoder, _ images: Tensor, _ texts: TokenBatch, _ expected: Safetensors) throws
        -> [StageResult]
    {
        guard expected.names.contains(where: { $0.hasPrefix("mid.") }) else { return [] }
        let tolerance = Tolerance(absolute: 2e-5, relative: 1e-5)
        var image = Comparison(
            "image blocks", tolerance, cause: "QuickGELU or GELU, layer-norm epsilon, a missing ln_pre, RGB order")
        var text = Comparison("text blocks", tolerance, cause: "QuickGELU or GELU, causal mask or none, padding id")
        var seen: [String: [Float]] = [:]
        withoutTape {
            _ = model.image(images) { seen["image.\($0)"] = $1.floats }
            _ = model.text(texts, isPacked: false) { seen["text.\($0)"] = $1.floats }
        }
        let count = images.shape[0]
        for name in expected.names where name.hasPrefix("mid.") {
            let values = try expected.floats(name)
            let words = name.split(separator: ".")
            guard let tokens = seen["\(words[1] == "text" ? "text" : "image").\(words[2])"] else { continue }
            if words[1] == "text" {
                text.compare(name, values, tokens)
                continue
            }
            let shape = try expected.entry(name).shape
            if shape.count == 4 {  // [B,C,H,W]; ours are rows of pixels
                let (channels, pixels) = (shape[1], shape[2] * shape[3])
                guard tokens.count == values.count else {
                    image.compare(name, values, tokens)
                    continue
                }
                let turned = (0..<tokens.count).map { index in
                    let (b, c, p) = (index / (channels * pixels), index / pixels % channels, index % pixels)
                    return tokens[(b * pixels + p) * channels + c]
                }
                image.compare(name, values, turned)
                continue
            }
            let width = shape[2]
            let prefix = expected.entries["mid.image_prefix.\(words[2])"] == nil ? 0 : 1
            let length = tokens.count / count / width
            let isPrefix = words[1] == "image_prefix"
            // The class token is kept apart from the patches.
            var mine: [Float] = []
            for b in 0..<count {
                let first = b * length + (isPrefix ? 0 : prefix)
                let last = b * length + (isPrefix ? prefix : length)
                mine += tokens[first * width..<last * width]
            }
            image.compare(name, values, mine)
        }
        return [image.result, text.result]
    }

    private func features(_ model: DualEncoder, _ images: Tensor, _ texts: TokenBatch, _ expected: Safetensors) throws
        -> [StageResult]
    {
        let tolerance = Tolerance(absolute: 2e-5, relative: 1e-5)
        var imageStage = Comparison("image features", tolerance, cause: "pooling, final layer norm or projection")
        var textStage = Comparison("text features", tolerance, cause: "EOT position, padding id or projection")
        let (image, text) = withoutTape { (model.image(images), model.text(texts)) }
        let (unitImage, unitText) = withoutTape { (normalizeRows(image), normalizeRows(text)) }
        imageStage.compare("image_features", try expected.floats("image_features"), image.floats)
        imageStage.compare(
            "image_features_normalized", try expected.floats("image_features_normalized"), unitImage.floats)
        textStage.compare("text_features", try expected.floats("text_features"), text.floats)
        textStage.compare("text_features_normalized", try expected.floats("text_features_normalized"), unitText.floats)
        let scale = expf(model.logScale.value.scalar)
        let limit = 2e-5 * Double(max(1, scale / 10))
        var logitStage = Comparison(
            "logits", Tolerance(absolute: limit, relative: 1e-5), cause: "logit scale (its logarithm is stored) or bias"
        )
        let bias = model.logitBias?.value.scalar ?? 0
        let logits = withoutTape { matmul(unitImage, unitText, transposeB: true) }.floats.map { $0 * scale + bias }
        logitStage.compare("logits_per_image", try expected.floats("logits_per_image"), logits)
        if expected.entries["logits_per_text"] != nil {
            let byText = withoutTape { matmul(unitText, unitImage, transposeB: true) }.floats.map { $0 * scale + bias }
            logitStage.compare("logits_per_text", try expected.floats("logits_per_text"), byText)
        }
        var lossStage = Comparison("losses", Tolerance(absolute: 2e-5, relative: 5e-6))
        for (name, objective) in [
            ("loss_softmax", Objective.softmax), ("loss_coca_contrastive", .softmax), ("loss_sigmoid", .sigmoid),
            ("loss", model.logitBias == nil ? .softmax : .sigmoid),
        ]
        where expected.entries[name] != nil {
            let loss = withoutTape {
                objective.loss(
                    images: unitImage, texts: unitText, logScale: model.logScale.value,
                    logitBias: model.logitBias?.value)
            }
            lossStage.compare(name, try expected.floats(name), [loss.scalar])
        }
        return [imageStage.result, textStage.result, logitStage.result, lossStage.result]
    }

    private func objective(_ settings: JSON) -> Objective {
        settings["training_loss"]?.string == "SigLipLoss" ? .sigmoid : .softmax
    }

    private func training(_ model: DualEncoder, _ batch: PairBatch, _ expected: Safetensors, _ settings: JSON) throws
        -> [StageResult]
    {
        var lossStage = Comparison("training loss", Tolerance(absolute: 2e-5, relative: 5e-6))
        var gradientStage = Comparison("gradients", Tolerance(absolute: 2e-5, relative: 2e-5))
        let (loss, gradients) = LearningTask.contrastive(model, objective(settings)).gradients(batch)
        lossStage.compare("train_loss", try expected.floats("train_loss"), [loss.scalar])
        for entry in gradients.entries where expected.entries["grad." + entry.name] != nil {
            let values = try expected.floats("grad." + entry.name)
            gradientStage.compare(
                "grad." + entry.name, values, entry.gradient?.floats ?? [Float](repeating: 0, count: values.count))
        }
        let mine = Set(gradients.entries.map(\.name))
        for name in expected.names where name.hasPrefix("grad.") && !mine.contains(String(name.dropFirst(5))) {
            gradientStage.compare(name, try expected.floats(name), [Float]())
        }
        return [lossStage.result, gradientStage.result]
    }

    /// - Parameter clip: nil for gradients as they are
    private func threeSteps(
        _ model: DualEncoder, _ batch: PairBatch, _ expected: Safetensors, _ settings: JSON, clip: Double?
    ) throws -> StageResult {
        let optimizer = settings["optimizer"] ?? .null
        func number(_ key: String, _ fallback: Double) -> Double { optimizer[key]?.number ?? fallback }
        var step = Step(
            .contrastive(model, objective(settings)),
            AdamW(
                .init(
                    beta1: number("beta1", 0.9), beta2: number("beta2", 0.98), epsilon: number("eps", 1e-6),
                    weightDecay: number("weight_decay", 0.2))),
            StepSettings(clip: clip))
        for _ in 0..<Int(number("steps", 3)) { _ = try step(batch, rate: number("lr", 1e-3)) }
        var stage = Comparison(
            clip == nil ? "three steps" : "three clipped steps", Self.stepTolerance(isClipped: clip != nil),
            cause: "weight decay groups, epsilon, or the order of decay and step")
        let prefix = clip == nil ? "step3." : "step3_clip."
        for parameter in step.task.model.state {
            stage.compare(prefix + parameter.name, try expected.floats(prefix + parameter.name), parameter.value.floats)
        }
        return stage.result
    }

    static func stepTolerance(isClipped: Bool) -> Tolerance {
        isClipped
            ? Tolerance(absolute: 1e-4, relative: 0, most: (0.999, 2e-5))
            : Tolerance(absolute: 2.5e-3, relative: 0, most: (0.995, 2e-5))
    }
}
