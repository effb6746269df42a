import Images
import Objectives
import Shards
package import Support
import TensorCore

// Every key of a recipe, declared once: the parser, `train --help-recipe` and docs/recipe.md come from here.

struct RecipeKeys {
    let about = Key<String?>.text("about", "What the recipe is for; may change on resume.")
    let seed = Key.integer("seed", "Of every random draw: weights, order, augmentation.", default: 0, in: 0...Int.max)
    let model = Key<String>.text(
        "model", "A model configuration, open_clip's JSON; with init_from it may be left out.")
    let tokenizer = Key<String>.text(
        "tokenizer", "A tokenizer folder with its card.yaml.", default: "Tokenizers/clip-bpe")
    let objective = Key.choice(
        "objective", "What is minimised: CLIP's softmax loss or SigLIP's sigmoid loss.", default: Objective.softmax)
    let initialModel = Key<String?>.text("init_from", "A model folder whose weights the run begins with.")
    let textEncoder = Key<String?>.text(
        "text_encoder", "A folder of a BERT sentence encoder that the text tower begins with.")
    let frozen = Key.texts(
        "freeze", "Patterns of parameter names that stay as they are, such as visual.*.", default: [])
    let continuation = Key.section(
        "continue", "Another run's checkpoint to go on from, with its optimiser, along the rest of its schedule.")
    let precision = Key.choice(
        "precision",
        "What a GPU computes with: fp32, tf32 (products of operands rounded to 10 bits) or bf16 (activations too); the CPU takes fp32 alone.",
        default: Precision.fp32)
    let batch = Key<Int>.integer("batch", "Pairs of a step.", in: 1...1_000_000)
    let chunk = Key<Int?>.integer(
        "chunk", "Pairs whose values are held at a time: the same step in less memory, by a second forward pass.",
        in: 1...1_000_000)
    let slices = Key<Int?>.integer(
        "slices",
        "Equal parts of a batch that are computed alone: bits then do not depend on the number of processes. Left out: one for each process.",
        in: 1...1_000_000)
    let recomputes = Key.flag(
        "checkpointing", "Recompute every transformer block in the backward pass instead of keeping its values.",
        default: false)
    let epochs = Key<Int?>.integer("epochs", "How long: passes over the data. Either this or steps.", in: 1...1_000_000)
    let steps = Key<Int?>.integer("steps", "How long: steps. Either this or epochs.", in: 1...1_000_000_000)
    let optimizer = Key.section("optimizer", "AdamW.")
    let schedule = Key.section("schedule", "The learning rate over the run.")
    let preprocess = Key.section("preprocess", "How images become a tower's input, as open_clip's preprocess_cfg.")
    let data = Key.section("data", "What is trained on.")
    let validation = Key.section("validation", "The loss on held-out pairs.")
    let checkpoints = Key.section("checkpoints", "What a run can go on from.")
    let logEvery = Key.integer("log_every", "Steps between lines of metrics.jsonl.", default: 1, in: 1...1_000_000)
    let evaluations = Key.sections("evaluations", "Tasks that are run on the model.")
}

struct ContinuationKeys {
    let checkpoint = Key<String>.text("checkpoint", "The checkpoint's folder.")
    let total = Key<Int>.integer("total", "Steps of the run that it belongs to.", in: 1...largestCount)
}

struct OptimizerKeys {
    let rate = Key<Double>.number("rate", "The learning rate after warm-up.")
    let beta1 = Key.number("beta1", "Decay of the gradients' running mean.", default: 0.9, in: 0...0.999_999_999)
    let beta2 = Key.number("beta2", "Decay of the squares' running mean.", default: 0.98, in: 0...0.999_999_999)
    let epsilon = Key.number("epsilon", "Added to the root of the squares' mean.", default: 1e-6, in: 1e-30...1)
    let weightDecay = Key.number(
        "weight_decay", "Of matrices; vectors, norms, biases and the logit scale do not decay.", default: 0.2)
    let clip = Key<Double?>.number("clip", "The longest that all gradients as one vector may be.")
}

enum ScheduleKind: String, CaseIterable { case cosine, constant, cooldown }

struct ScheduleKeys {
    let kind = Key.choice("kind", "The shape after warm-up.", default: ScheduleKind.cosine)
    let warmup = Key.integer("warmup", "Steps of a linear rise.", default: 0)
    let cooldown = Key<Int?>.integer(
        "cooldown", "With kind cooldown: the last steps, in which it falls.", in: 1...1_000_000_000)
    let power = Key.number("power", "With kind cooldown: (1 - progress) to this power.", default: 1)
    let end = Key.number("end", "With kind cooldown: where it falls to.", default: 0)
}

struct PreprocessKeys {
    let mean = Key.numbers("mean", "Of the channels, 0...1.", default: [0.48145466, 0.4578275, 0.40821073])
    let deviation = Key.numbers("std", "Of the channels.", default: [0.26862954, 0.26130258, 0.27577711])
    let interpolation = Key<String?>.text("interpolation", "bicubic or bilinear.")
    let resizeMode = Key<String?>.text("resize_mode", "shortest, longest or squash.")
    let fillColor = Key<Int?>.integer("fill_color", "With longest: the padding's grey.", in: 0...255)
}

struct DataKeys {
    let train = Key.texts("train", "Shards: files, brace patterns, folders of tars. Either this or sources.")
    let sources = Key.sections("sources", "Several sets of shards that are drawn from by their weights.")
    let selection = Key<String?>.text(
        "selection", "A file of which samples take part, as diptych experts plan writes it.")
    let captionKey = Key<String?>.text("caption_key", "Take captions from this field of a sample's JSON, not its txt.")
    let captions = Key.choice(
        "captions", "Whether a txt holds a caption a line, of which one is drawn, or one caption.",
        default: CaptionForm.lines)
    let classes = Key.texts("classes", "Make captions of class indices: names, or a file of them.", default: [])
    let templates = Key.texts("templates", "With classes: texts with {} for the name, or a file of them.", default: [])
    let augment = Key.section("augment", "Random changes of training images.")
    let window = Key.integer(
        "window", "Shards whose samples are shuffled together.", default: 16, in: 1...1_000_000)
    let samplesPerEpoch = Key<Int?>.integer(
        "samples_per_epoch", "Samples of an epoch; left out: all.", in: 1...100_000_000_000)
    let decode = Key.choice(
        "decode", "exact: as Pillow; fast: JPEGs at a part of their size where that suffices.",
        default: DecodeMode.exact)
    let conversion = Key.choice(
        "convert", "Whether images become RGB before they are resized, or after.", default: ImageConversion.rgbFirst)
    let threads = Key<Int?>.integer("threads", "That read and decode; left out: half of the cores.", in: 1...256)
    let largestFaultShare = Key.number(
        "largest_fault_share", "Faulty samples are left out and counted; a larger share ends the run.", default: 0.1,
        in: 0...1)
}

struct SourceKeys {
    let shards = Key.texts("shards", "Shards: files, brace patterns, folders of tars.")
    let weight = Key.number("weight", "Its part among all sources.", default: 1)
}

struct AugmentKeys {
    let scale = Key.numbers("scale", "Share of the area that a random crop keeps, least and most.", default: [0.9, 1])
    let ratio = Key.numbers("ratio", "Width over height of the crop, least and most.", default: [0.75, 4.0 / 3])
    let flip = Key.number("flip", "Chance of a horizontal flip.", default: 0, in: 0...1)
}

struct ValidationKeys {
    let shards = Key.texts("shards", "Held-out shards.", default: [])
    let every = Key.integer("every", "Steps between; 0: at the end only.", default: 0)
}

struct CheckpointKeys {
    let every = Key.integer("every", "Steps between; 0: at the end only.", default: 0)
    let keep = Key.integer("keep", "How many stay, the best one not counted.", default: 2, in: 1...1_000_000)
}

struct EvaluationKeys {
    let task = Key<String>.text("task", "A task file, such as those under Evals/tasks.")
    let data = Key<String>.text("data", "The set: shards, class folders, or a captions JSON.")
    let images = Key<String?>.text("images", "The folder of a captions JSON's images.")
    let every = Key.integer("every", "Steps between; 0: at the end only.", default: 0)
}

/// The keys of recipes, for people.
package enum RecipeHelp {
    package struct Part {
        package let name: String
        package let keys: [any DeclaredKey]
    }

    package static var parts: [Part] {
        [
            Part(name: "", keys: declaredKeys(RecipeKeys())),
            Part(name: "optimizer", keys: declaredKeys(OptimizerKeys())),
            Part(name: "schedule", keys: declaredKeys(ScheduleKeys())),
            Part(name: "preprocess", keys: declaredKeys(PreprocessKeys())),
            Part(name: "data", keys: declaredKeys(DataKeys())),
            Part(name: "data.sources[]", keys: declaredKeys(SourceKeys())),
            Part(name: "data.augment", keys: declaredKeys(AugmentKeys())),
            Part(name: "validation", keys: declaredKeys(ValidationKeys())),
            Part(name: "checkpoints", keys: declaredKeys(CheckpointKeys())),
            Part(name: "evaluations[]", keys: declaredKeys(EvaluationKeys())),
            Part(name: "continue", keys: declaredKeys(ContinuationKeys())),
        ]
    }

    /// For a terminal.
    package static var text: String {
        parts.map { part in
            let title = part.name.isEmpty ? "THE TOP LEVEL" : part.name
            return title + "\n"
                + part.keys.map { key in
                    "  \(key.name)  (\(key.kind); \(key.fallback.map { "default: \($0)" } ?? "required"))\n      \(key.sentence)"
                }.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    /// docs/recipe.md
    package static var markdown: String {
        let head = """
            # Recipes

            A training run as a YAML file. Paths are looked for in the working folder, beside the recipe, and among Diptych's own files; unknown keys are refused. `diptych train --help-recipe` prints the same list; `--set key=value` overrides a key by its dotted name.

            """
        return head
            + parts.map { part in
                "\n## \(part.name.isEmpty ? "The top level" : "`\(part.name)`")\n\n| key | what it may be | default | |\n|---|---|---|---|\n"
                    + part.keys.map { key in
                        "| `\(key.name)` | \(key.kind) | \(key.fallback ?? "required") | \(key.sentence) |\n"
                    }.joined()
            }.joined()
    }
}
