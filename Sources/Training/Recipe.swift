import Models
import Encoders
import Evaluation
import Foundation
import Images
import Objectives
import Optimizers
import StrictYAML
import Shards
import Support

/// A training run as a YAML file states it. Paths are relative to the working folder.
package struct Recipe {
    package struct Evaluation {
        package let task: String
        package let data: String
        package let images: String?
        /// Steps between evaluations; 0: at the end only.
        package let every: Int
    }

    package enum Length: Sendable { case epochs(Int), steps(Int) }

    /// Another run's checkpoint to go on from, weights and optimiser, along the rest of its schedule.
    package struct Continuation: Sendable {
        package let checkpoint: String
        /// Steps of the run it belongs to.
        package let total: Int
    }

    /// The merged file, kept in the run folder.
    package private(set) var file: YAMLFile
    package let seed: UInt64
    /// `model_cfg` with the objective's logit scale and bias.
    package let modelConfig: JSON
    package let modelPath: String
    package let preprocess: JSON
    package let initialModel: String?
    package let continuation: Continuation?
    /// The folder of a sentence encoder that the text tower starts from.
    package let textEncoder: String?
    /// Patterns of parameter names that stay as they are (`visual.*`).
    package let frozen: [String]
    package let tokenizer: String
    package let objective: Objective
    package let batch: Int
    package let chunk: Int?
    package let recomputes: Bool
    package let length: Length
    package let optimizer: AdamW.Settings
    package let rate: Double
    package let clip: Double?
    package let schedule: Schedule
    package let warmup: Int
    package let sources: [(shards: [String], weight: Double)]
    /// A file of which samples take part (`SampleSelection`); nil: all.
    package let selection: String?
    package let fields: SampleFields
    package let augmentation: Augmentation?
    /// Of training images; held-out ones are always exact.
    package let decode: DecodeMode
    package let conversion: ImageConversion
    package let window: Int
    package let samplesPerEpoch: Int?
    package let dataThreads: Int
    package let largestFaultShare: Double
    package let validationShards: [String]
    package let validateEvery: Int
    package let logEvery: Int
    package let checkpointEvery: Int
    package let keep: Int
    package let evaluations: [Evaluation]

    /// - Parameter overrides: `key=value`, as --set gives them
    /// - Throws: `Failure` naming file, line and key.
    package init(_ path: String, overrides: [String] = []) throws {
        guard let path = Paths.find(path) else {
            throw Failure(
                .inputMissing, path, "no such recipe", remedy: "See Recipes/ for those that come with Diptych")
        }
        var file = try YAMLFile(path)
        for override in overrides { try file.set(override) }
        try self.init(file)
    }

    package init(_ file: YAMLFile) throws {
        let file = try Self.located(file)
        self.file = file
        let top = try Section(file)
        _ = try top.optionalString("about")
        seed = UInt64(try top.integer("seed", default: 0, in: 0...Int.max))
        objective = try top.choice("objective", default: .softmax)
        initialModel = try top.optionalString("init_from")
        textEncoder = try top.optionalString("text_encoder")
        let continued = try top.section("continue")
        continuation =
            try top.has("continue")
            ? Continuation(
                checkpoint: Self.place(continued.string("checkpoint"), file),
                total: continued.integer("total", in: 1...largestCount))
            : nil
        frozen = try top.strings("freeze", default: [])
        tokenizer = try top.string("tokenizer", default: "Tokenizers/clip-bpe")
        batch = try top.integer("batch", in: 1...1_000_000)
        chunk = try top.optionalInteger("chunk", in: 1...1_000_000)
        recomputes = try top.bool("checkpointing", default: false)
        logEvery = try top.integer("log_every", default: 1, in: 1...1_000_000)

        if textEncoder != nil, !top.has("model") {
            throw top.wrong("text_encoder", "needs a model whose text_cfg has hf_model_name")
        }
        if let initialModel, !top.has("model") {
            guard !HuggingFaceFolder.stands(at: initialModel) else {
                throw top.wrong(
                    "init_from", "\(initialModel) is a Hugging Face folder",
                    remedy: "Make a model folder of it: diptych import")
            }
            let folder = try ModelFolder(initialModel)
            modelPath = initialModel
            modelConfig = Self.withStart(of: objective, folder.blueprint.config, hasWeights: true)
            preprocess = folder.preprocess
            if top.has("preprocess") {
                throw top.wrong(
                    "preprocess", "comes with the model of init_from", remedy: "Name a model, too, to state another")
            }
        } else {
            modelPath = try top.string("model")
            let config = try JSON(file: modelPath)
            modelConfig = Self.withStart(
                of: objective,
                try textEncoder.map { try Self.config(config, withText: SentenceFolder($0)) } ?? config,
                hasWeights: initialModel != nil)
            preprocess = try Self.preprocess(top)
        }

        if top.has("epochs") == top.has("steps") {
            throw top.wrong("epochs", "exactly one of epochs and steps is needed")
        }
        length =
            try top.has("epochs")
            ? .epochs(top.integer("epochs", in: 1...1_000_000)) : .steps(top.integer("steps", in: 1...1_000_000_000))

        let adam = try top.section("optimizer")
        rate = try adam.number("rate")
        optimizer = AdamW.Settings(
            beta1: try adam.number("beta1", default: 0.9, in: 0...0.999_999_999),
            beta2: try adam.number("beta2", default: 0.98, in: 0...0.999_999_999),
            epsilon: try adam.number("epsilon", default: 1e-6, in: 1e-30...1),
            weightDecay: try adam.number("weight_decay", default: 0.2))
        clip = try adam.optionalNumber("clip")

        let scheduleSection = try top.section("schedule")
        let kind: ScheduleKind = try scheduleSection.choice("kind", default: .cosine)
        warmup = try scheduleSection.integer("warmup", default: 0)
        switch kind {
        case .cosine: schedule = .cosine
        case .constant: schedule = .constant
        case .cooldown:
            schedule = .cooldown(
                steps: try scheduleSection.integer("cooldown", in: 1...1_000_000_000),
                power: try scheduleSection.number("power", default: 1),
                end: try scheduleSection.number("end", default: 0))
        }

        let data = try top.section("data")
        let listed = try data.sections("sources")
        sources =
            try listed.isEmpty
            ? [(data.strings("train"), 1)]
            : listed.map {
                (try $0.strings("shards").map { Self.place($0, file) }, try $0.number("weight", default: 1))
            }
        let weights = sources.map(\.weight)
        guard weights.allSatisfy(\.isFinite), weights.reduce(0, +) > 0 else {
            throw data.wrong("sources", "the weights need a finite sum above 0")
        }
        selection = try data.optionalString("selection").map { Self.place($0, file) }
        fields = SampleFields(
            captionKey: try data.optionalString("caption_key"), form: try data.choice("captions", default: .lines),
            classes: try data.has("classes") ? TextList.read(data, "classes", beside: file.path) : [],
            templates: try data.has("templates")
                ? TextList.read(data, "templates", beside: file.path) : ["a photo of a {}."])
        if !fields.classes.isEmpty, let bare = fields.templates.first(where: { !$0.contains("{}") }) {
            throw data.wrong("templates", "\"\(bare)\" has no {} for the class name")
        }
        // The merged file is kept elsewhere: what it names beside itself is named from here.
        for key in ["classes", "templates"] {
            guard let place = try TextList.resolved(data, key, beside: file.path) else { continue }
            try self.file.set("data.\(key)=\(JSON.string(place).text())")
        }
        window = try data.integer("window", default: 16, in: 1...1_000_000)
        samplesPerEpoch = try data.optionalInteger("samples_per_epoch", in: 1...100_000_000)
        decode = try data.choice("decode", default: .exact)
        conversion = try data.choice("convert", default: .rgbFirst)
        dataThreads = try data.integer("threads", default: max(1, Machine.coreCount / 2), in: 1...256)
        largestFaultShare = try data.number("largest_fault_share", default: 0.1, in: 0...1)
        let augment = try data.section("augment")
        let scale = try augment.numbers("scale", count: 2, default: [0.9, 1])
        let ratio = try augment.numbers("ratio", count: 2, default: [0.75, 4.0 / 3])
        guard scale[0] >= 1e-6, scale[0] <= scale[1], scale[1] <= 1 else {
            throw augment.wrong("scale", "needs 0.000001 <= low <= high <= 1")
        }
        guard ratio[0] >= 0.001, ratio[0] <= ratio[1], ratio[1] <= 1000 else {
            throw augment.wrong("ratio", "needs 0.001 <= low <= high <= 1000")
        }
        augmentation = Augmentation(
            scale: scale[0]...scale[1], ratio: ratio[0]...ratio[1],
            flip: try augment.number("flip", default: 0, in: 0...1))

        let validation = try top.section("validation")
        validationShards = try validation.strings("shards", default: [])
        validateEvery = try validation.integer("every", default: 0)
        let checkpoints = try top.section("checkpoints")
        checkpointEvery = try checkpoints.integer("every", default: 0)
        keep = try checkpoints.integer("keep", default: 2, in: 1...1_000_000)
        evaluations = try top.sections("evaluations").map {
            Evaluation(
                task: Self.place(try $0.string("task"), file), data: Self.place(try $0.string("data"), file),
                images: try $0.optionalString("images").map { Self.place($0, file) },
                every: try $0.integer("every", default: 0))
        }
        try top.finish()
    }

    private enum ScheduleKind: String, CaseIterable { case cosine, constant, cooldown }

    /// open_clip's preprocess_cfg, from YAML.
    private static func preprocess(_ top: Section) throws -> JSON {
        let section = try top.section("preprocess")
        var members: [String: JSON] = [:]
        for key in ["mean", "std"] where section.has(key) {
            members[key] = .array(try section.numbers(key, count: 3).map { .number($0) })
        }
        for key in ["interpolation", "resize_mode"] {
            members[key] = try section.optionalString(key).map { .string($0) }
        }
        members["fill_color"] = try section.optionalInteger("fill_color", in: 0...255).map { .integer($0) }
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

    /// The file with what it names found: in the working folder, beside the recipe, or among Diptych's own files. What
    /// stands in none of them keeps its name, and whoever opens it says so.
    private static func located(_ file: YAMLFile) throws -> YAMLFile {
        var located = file
        let top = try Section(file)
        func set(_ key: String, _ words: [String]) throws {
            let found = words.map { place($0, file) }
            guard found != words else { return }
            let texts = found.map { JSON.string($0).text() }
            try located.set("\(key)=" + (texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"))
        }
        for key in ["model", "init_from", "text_encoder", "tokenizer"] where top.has(key) {
            try set(key, [top.string(key)])
        }
        for (name, key) in [("data", "train"), ("validation", "shards")] {
            let section = try top.section(name)
            if section.has(key) { try set("\(name).\(key)", section.strings(key)) }
        }
        return located
    }

    private static func place(_ name: String, _ file: YAMLFile) -> String {
        Paths.find(name, beside: file.path) ?? pattern(name, beside: file.path)
    }

    /// A pattern of shards beside the recipe, where the folder it names stands there and not here.
    private static func pattern(_ name: String, beside file: String) -> String {
        guard let brace = name.firstIndex(of: "{"), !name.hasPrefix("/") else { return name }
        let folder = Files.parent(of: String(name[..<brace]))
        let place = Paths.beside(file, folder)
        return !folder.isEmpty && !Files.exists(folder) && Files.exists(place) ? Paths.beside(file, name) : name
    }

    package func isFrozen(_ name: String) -> Bool { frozen.contains { fnmatch($0, name, 0) == 0 } }
}
