import Encoders
import Foundation
import Models
import Objectives
import StrictYAML
package import Support

/// What is trained, and what it begins with.
package struct ModelPart {
    /// Another run's checkpoint to go on from, weights and optimiser, along the rest of its schedule.
    package struct Continuation: Sendable {
        package let checkpoint: String
        /// Steps of the run it belongs to.
        package let total: Int
    }

    /// `model_cfg` with the objective's logit scale and bias.
    package let config: JSON
    /// Where it came from.
    package let path: String
    package let preprocess: JSON
    /// A model folder whose weights the run begins with.
    package let initial: String?
    package let continuation: Continuation?
    /// The folder of a sentence encoder that the text tower starts from.
    package let textEncoder: String?
    /// Patterns of parameter names that stay as they are (`visual.*`).
    package let frozen: [String]
    package let recomputes: Bool

    init(_ top: Section, _ keys: RecipeKeys, _ objective: Objective, _ file: YAMLFile) throws {
        initial = try keys.initialModel(top)
        textEncoder = try keys.textEncoder(top)
        let continued = try keys.continuation(top)
        continuation =
            top.has("continue")
            ? Continuation(
                checkpoint: RecipePaths.place(try ContinuationKeys().checkpoint(continued), file),
                total: try ContinuationKeys().total(continued)) : nil
        frozen = try keys.frozen(top)
        recomputes = try keys.recomputes(top)
        if textEncoder != nil, !top.has("model") {
            throw top.wrong("text_encoder", "needs a model whose text_cfg has hf_model_name")
        }
        if let initial, !top.has("model") {
            guard !HuggingFaceFolder.stands(at: initial) else {
                throw top.wrong(
                    "init_from", "\(initial) is a Hugging Face folder",
                    remedy: "Make a model folder of it: diptych import")
            }
            let folder = try ModelFolder(initial)
            path = initial
            config = Self.withStart(of: objective, folder.blueprint.config, hasWeights: true)
            preprocess = folder.preprocess
            if top.has("preprocess") {
                throw top.wrong(
                    "preprocess", "comes with the model of init_from", remedy: "Name a model, too, to state another")
            }
        } else {
            path = try keys.model(top)
            let stated = try JSON(file: path)
            config = Self.withStart(
                of: objective, try textEncoder.map { try Self.config(stated, withText: SentenceFolder($0)) } ?? stated,
                hasWeights: initial != nil)
            preprocess = try Self.preprocess(keys.preprocess(top))
        }
    }

    /// open_clip's preprocess_cfg, from YAML.
    private static func preprocess(_ section: Section) throws -> JSON {
        let keys = PreprocessKeys()
        var members: [String: JSON] = [:]
        for key in [keys.mean, keys.deviation] where section.has(key.name) {
            members[key.name] = .array(try key(section).map { .number($0) })
        }
        for key in [keys.interpolation, keys.resizeMode] { members[key.name] = try key(section).map { .string($0) } }
        members[keys.fillColor.name] = try keys.fillColor(section).map { .integer($0) }
        return .object(members)
    }

    /// The configuration with the sizes of the sentence encoder that its text tower is.
    private static func config(_ config: JSON, withText folder: SentenceFolder) throws -> JSON {
        guard let text = config["text_cfg"], text["hf_model_name"] != nil else {
            throw Failure(
                .badData, folder.path, "text_encoder: the model's text_cfg has no hf_model_name",
                remedy: "See Recipes/models/flickr8k-locked-text.json")
        }
        return config.setting("text_cfg", to: text.setting("hf_config", to: folder.config))
    }

    /// The configuration with the logit scale and bias its objective starts with, where it states none.
    ///
    /// - Parameter hasWeights: the scale, and where there is one the bias, come with weights; without one it starts at 0,
    ///   as in open_clip (`FileParameters`)
    private static func withStart(of objective: Objective, _ config: JSON, hasWeights: Bool) -> JSON {
        guard var members = config.object, let bias = objective.start.logitBias,
            members["init_logit_bias"]?.isNull ?? true
        else { return config }
        members["init_logit_bias"] = .number(bias)
        if !hasWeights {
            members["init_logit_scale"] = members["init_logit_scale"] ?? .number(objective.start.logScale)
        }
        return .object(members)
    }

    package func isFrozen(_ name: String) -> Bool { frozen.contains { fnmatch($0, name, 0) == 0 } }
}
