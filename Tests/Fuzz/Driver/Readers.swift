import Models
import Encoders
import Evaluation
import Experts
import Foundation
import Images
import StrictYAML
import Report
import Shards
import Support
import Tokenization
import Training
import Weights

/// One way from a file into the program.
struct Reader {
    let name: String
    /// Folders of the corpus.
    let corpora: [String]
    let form: Form
    /// Puts what must stand beside the inputs into a folder, and gives the function that reads one.
    let open: (Scratch) throws -> (Data) throws -> Void

    init(
        _ name: String, corpora: [String]? = nil, _ form: Form,
        _ open: @escaping (Scratch) throws -> (Data) throws -> Void
    ) {
        (self.name, self.corpora, self.form, self.open) = (name, corpora ?? [name], form, open)
    }
}

enum Readers {
    static var all: [Reader] {
        [
            Reader("tar", .tar) { scratch in { try shard(scratch.put($0, "shard.tar")) } },
            Reader("targz", corpora: ["targz", "tar"], .gzip) { scratch in
                { try shard(scratch.put($0, "shard.tar.gz")) }
            },
            Reader("image", corpora: ["jpeg", "png", "webp", "gif", "bmp", "pnm", "tiff"], .image) { _ in
                ImageReading.read
            },
            Reader("safetensors", .safetensors, safetensors),
            Reader("json", .text) { _ in json },
            Reader("yaml", .text, yaml),
            Reader("card", .text, card),
            Reader("sentencepiece", .bytes, sentencePiece),
            Reader("wordpiece", .text, wordPiece),
            Reader("csv", .text, table),
            Reader("coco", .text) { scratch in { try coco(scratch.put($0, "captions.json")) } },
            Reader("text", .text, TextReading.open),
            Reader("textlines", .text) { _ in textLines },
            Reader("modelconfig", .text, modelConfig),
            Reader("hfconfig", .text, huggingFace),
            Reader("state", .text, state),
            Reader("report", .text, report),
            Reader("answers", .text, answers),
            Reader("task", .text, task),
        ]
    }

    /// Several files in one input stand between lines of %%.
    private static func parts(_ data: Data, _ count: Int) -> [Data] {
        var (found, rest) = ([Data](), data)
        while found.count < count - 1, let mark = rest.range(of: Data("\n%%\n".utf8)) {
            found.append(Data(rest[..<mark.lowerBound]))
            rest = Data(rest[mark.upperBound...])
        }
        return found + [rest] + [Data](repeating: Data(), count: count - 1 - found.count)
    }

    // MARK: Data

    private static func shard(_ path: String) throws {
        let shard = try Shard(path)
        _ = try shard.digest()
        let fields = [
            SampleFields(), SampleFields(captionKey: "caption"), SampleFields(form: .whole),
            SampleFields(classes: ["red", "blue"], templates: ["a {}"]),
        ]
        let open = try shard.open()
        for index in 0..<shard.count {
            let sample = try open.sample(index)
            // A sample's own faults are counted by those who read it: every part of it is read all the same.
            _ = try? sample.imageData()
            _ = try? sample.image(.asOpened)
            _ = try? sample.classIndex()
            _ = try? sample.json()
            for field in fields { _ = try? sample.captions(field) }
        }
    }

    private static func table(_ scratch: Scratch) throws -> (Data) throws -> Void {
        { data in
            let path = try scratch.put(data, "table.csv")
            for separator in [UInt8(ascii: ","), UInt8(ascii: "\t")] {
                _ = try? ShardPacker(table: path, separator: separator, imageKey: "image", captionKey: "caption")
            }
            let packer = try ShardPacker(table: path, separator: nil, imageKey: "image", captionKey: "caption")
            try Broken.unless(packer.rows.allSatisfy { !$0.captions.isEmpty }, "a row of a table has no caption")
        }
    }

    private static func coco(_ path: String) throws {
        _ = try? ShardPacker(coco: path, split: "train+val")
        _ = try ShardPacker(coco: path, split: nil)
    }

    private static func textLines(_ data: Data) throws {
        let lines = TextLines.bytes(of: data)
        try Broken.unless(lines.reduce(0) { $0 + $1.count } <= data.count, "lines hold more than their text")
        _ = try TextLines.split(data, path: "text")
    }

    // MARK: Values

    private static func json(_ data: Data) throws {
        let json = try JSON(parsing: data, path: "json")
        _ = FaultTally(json)
        for indent in [nil, 2] {
            let text = json.text(indent: indent)
            let again = try? JSON(parsing: Data(text.utf8), path: "json")
            try Broken.unless(again?.text(indent: indent) == text, "JSON that was written is read as something else")
        }
    }

    private static func yaml(_ scratch: Scratch) throws -> (Data) throws -> Void {
        try scratch.put(scratch.seed("modelconfig/vitamin.json"), "model.json")
        return { data in
            let path = try scratch.put(data, "recipe.yaml")
            var file = try YAMLFile(path)
            _ = file.flattened
            try file.set("data.window=3")
            try scratch.put(Data(try file.text().utf8), "again.yaml")
            _ = try? YAMLFile("again.yaml").requireSame(as: path, except: ["data"])
            _ = try? ExpertsRecipe(path)
            let recipe = try Recipe(path)
            _ = recipe.isFrozen("visual.conv1.weight")
            for pattern in recipe.data.sources.flatMap(\.shards) { _ = try? expandShards(pattern) }
        }
    }

    private static func task(_ scratch: Scratch) throws -> (Data) throws -> Void {
        try scratch.put(Data(#"{"list": ["red", "blue"], "other": [1, null]}"#.utf8), "names.json")
        return { data in _ = try TaskFile.read(scratch.put(data, "task.yaml")).contents.text() }
    }

    // MARK: Models

    private static func safetensors(_ scratch: Scratch) throws -> (Data) throws -> Void {
        try scratch.put(scratch.seed("safetensors/types.safetensors"), "types.safetensors")
        return { data in
            let isIndex = data.first == UInt8(ascii: "{")
            let path = try scratch.put(data, isIndex ? "x.safetensors.index.json" : "x.safetensors")
            let file = try Safetensors(path)
            for name in file.names {
                let count = try file.entry(name).count
                if let values = try? file.floats(name) { try Broken.unless(values.count == count, "floats of \(name)") }
                _ = try? file.finiteFloats(name)
                if let values = try? file.integers(name) {
                    try Broken.unless(values.count == count, "integers of \(name)")
                }
            }
            _ = try? Assignment(file: path)
        }
    }

    private static func modelConfig(_ scratch: Scratch) throws -> (Data) throws -> Void {
        { data in
            let path = try scratch.put(data, ModelFolder.configName)
            let json = try JSON(file: path)
            let blueprint: Blueprint
            if json["model_cfg"] != nil {
                let folder = try ModelFolder(scratch.path)
                blueprint = folder.blueprint
                _ = try? Preprocess(
                    folder.preprocess, height: blueprint.vision.height, width: blueprint.vision.width, path: path)
            } else {
                blueprint = try Blueprint(json, path: path)
            }
            // What --dry-run estimates.
            for recomputes in [false, true] { _ = blueprint.vision.keptValues(recomputes: recomputes) }
        }
    }

    private static func huggingFace(_ scratch: Scratch) throws -> (Data) throws -> Void {
        { data in
            let parts = parts(data, 2)
            try scratch.put(parts[0], "hf/config.json")
            try scratch.put(parts[1], "hf/preprocessor_config.json")
            if SentenceFolder.stands(at: "hf") { _ = try SentenceFolder("hf") }
            let folder = try HuggingFaceFolder("hf")
            _ = try Preprocess(
                folder.preprocess, height: folder.blueprint.vision.height, width: folder.blueprint.vision.width,
                path: "hf")
        }
    }

    // MARK: Tokenizers

    private static let words = [
        "a photo of a red square", "", "日本語 é\u{301} ﬁ", "<unk> </s> [MASK] [SEP]x", "a\0b \u{FFFD}",
    ]

    private static func use(_ tokenizer: some Tokenizer) throws {
        let most = tokenizer.vocabularySize
        for text in words {
            let row = tokenizer.row(text, contextLength: 8)
            try Broken.unless(row.count == 8, "a row of 8 tokens has \(row.count)")
            try Broken.unless(
                tokenizer.encode(text).allSatisfy { (0..<most).contains(Int($0)) }, "an id outside of the vocabulary")
        }
    }

    private static func card(_ scratch: Scratch) throws -> (Data) throws -> Void {
        try scratch.put(scratch.seed("sentencepiece/scenes.model"), "card/tokenizer.model")
        try scratch.put(scratch.seed("wordpiece/vocab.txt"), "card/vocab.txt")
        return { data in
            try scratch.put(data, "card/card.yaml")
            let card = try TokenizerCard("card")
            _ = card.rules.text()
            try use(card.load())
        }
    }

    private static func sentencePiece(_ scratch: Scratch) throws -> (Data) throws -> Void {
        { data in
            let path = try scratch.put(data, "tokenizer.model")
            let tokenizer = try SentencePieceTokenizer(model: path)
            let most = tokenizer.vocabularySize
            for text in words {
                _ = tokenizer.row(text, contextLength: 8)
                try Broken.unless(
                    tokenizer.encode(text).allSatisfy { (0..<most).contains(Int($0)) },
                    "an id outside of the vocabulary")
            }
            _ = try? SentencePieceTokenizer(model: path, endPiece: "</s>", paddingPiece: "<pad>")
        }
    }

    private static func wordPiece(_ scratch: Scratch) throws -> (Data) throws -> Void {
        let vocabulary = try scratch.seed("wordpiece/vocab.txt")
        return { data in
            let isSettings = data.first == UInt8(ascii: "{")
            try scratch.put(isSettings ? vocabulary : data, "bert/vocab.txt")
            if isSettings { try scratch.put(data, "bert/tokenizer_config.json") }
            try use(TokenizerCard("bert").load())
            try use(WordPieceTokenizer(vocabulary: "bert/vocab.txt", isUncased: false))
        }
    }

    // MARK: Runs

    /// state.json as it is, and sealed, so that what lies behind the digest is reached: with its own list of files, then
    /// with a true one.
    private static func state(_ scratch: Scratch) throws -> (Data) throws -> Void {
        var files: [String: JSON] = [:]
        for name in ["open_clip_config.json", "open_clip_model.safetensors", "optimizer.safetensors"] {
            try scratch.put(Data(name.utf8), "checkpoint/" + name)
            let sum = String(format: "%08x", Gzip.crc32(Data(name.utf8)))
            files[name] = ["bytes": .integer(name.utf8.count), "crc32": .string(sum)]
        }
        let path = "checkpoint/" + Checkpoint.stateName
        return { [files] data in
            try scratch.put(data, path)
            _ = try? Checkpoint.state(of: "checkpoint")
            guard var members = try JSON(file: path).object else { return }
            members["digest"] = nil
            for list in [members["files"], .object(files)] {
                members["files"] = list
                let digest = SHA256.hex(JSON.object(members).text())
                let sealed = JSON.object(members).setting("digest", to: .string(digest))
                try scratch.put(Data(sealed.text().utf8), path)
                if list == .object(files) {
                    _ = try Checkpoint.state(of: "checkpoint")
                } else {
                    _ = try? Checkpoint.state(of: "checkpoint")
                }
            }
        }
    }

    private static func report(_ scratch: Scratch) throws -> (Data) throws -> Void {
        try scratch.put(Data("seed: 3\n".utf8), "run/recipe.yaml")
        return { data in
            let parts = parts(data, 3)
            try scratch.put(parts[0], "run/metrics.jsonl")
            try scratch.put(parts[1], "run/evals/scenes.json")
            try scratch.put(parts[2], "run/evals/scenes.examples.json")
            try scratch.put(parts[1], "experts/evals/scenes.json")
            _ = try RunReport("run").write()
            _ = try ExpertsReport("experts").write()
        }
    }

    /// Two files of `eval --answers`, compared.
    private static func answers(_ scratch: Scratch) throws -> (Data) throws -> Void {
        { data in
            let parts = parts(data, 2)
            try scratch.put(parts[0], "base.jsonl")
            try scratch.put(parts[1], "other.jsonl")
            _ = try PairedComparison(["base.jsonl"], against: ["other.jsonl"]).json.text()
        }
    }
}

/// Images in every way that they are decoded in.
private enum ImageReading {
    static let model = try? Preprocess(["resize_mode": "longest"], height: 16, width: 16, path: "")

    static func read(_ data: Data) throws {
        // A stream by the bytes, so that a kept input is cropped the same way again.
        var random = RandomStream(seed: UInt64(Gzip.crc32(data)), purpose: "fuzz")
        var sizes: [[Int]] = []
        for conversion in ImageConversion.allCases {  // one after the other, as the program holds them
            let raster = try conversion.open(data)
            sizes.append([raster.width, raster.height])
            try Broken.unless(raster.rgb.pixels.count == raster.width * raster.height * 3, "pixels of another number")
            _ = model?.geometry(raster)
            _ = Augmentation(flip: 0.5)(raster, width: 9, height: 7, .bilinear, &random)
        }
        try Broken.unless(sizes[0] == sizes[1], "two sizes of one image")
        for conversion in ImageConversion.allCases {
            _ = try Augmentation(scale: 0.1...1)(
                decoding: data, (.fast, conversion), width: 8, height: 8, .bicubic, &random)
        }
    }
}

/// Captions through every tokenizer at hand: the scenes', a WordPiece vocabulary, CLIP's where it is installed.
private enum TextReading {
    static func open(_ scratch: Scratch) throws -> (Data) throws -> Void {
        let model = try scratch.put(scratch.seed("sentencepiece/scenes.model"), "tokenizer.model")
        let words = try scratch.put(scratch.seed("wordpiece/vocab.txt"), "vocab.txt")
        var tokenizers: [any Tokenizer] = [
            try SentencePieceTokenizer(model: model), try WordPieceTokenizer(vocabulary: words),
        ]
        if Files.exists(BPETokenizer.installedVocabulary) {
            tokenizers.append(try BPETokenizer(vocabulary: BPETokenizer.installedVocabulary))
        }
        return { [tokenizers] data in
            let text = String(decoding: data, as: UTF8.self)
            _ = TextRepair.mended(text)
            _ = Clean.htmlUnescaped(text)
            for cleaning in TextCleaning.allCases { _ = cleaning(text) }
            for tokenizer in tokenizers { try look(tokenizer, text) }
        }
    }

    private static func look(_ tokenizer: any Tokenizer, _ text: String) throws {
        let row = tokenizer.row(text, contextLength: 77)
        let most = tokenizer.vocabularySize
        try Broken.unless(row.count == 77, "a row of 77 tokens has \(row.count)")
        try Broken.unless(row.allSatisfy { (0..<most).contains(Int($0)) }, "an id outside of the vocabulary")
        let (all, few) = (tokenizer.encode(text), tokenizer.encode(text, limit: 20))
        try Broken.unless(
            few.prefix(20).elementsEqual(all.prefix(20)), "the first 20 ids differ where 20 are asked for")
    }
}
