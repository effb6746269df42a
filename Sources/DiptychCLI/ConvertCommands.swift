import Layers
import Models
import ArgumentParser
import Encoders
import Foundation
import Support
import Tokenization
import TensorCPU

struct ImportCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make a model folder of a Hugging Face one, or of one at another resolution.",
        discussion: """
            Reads a transformers folder of a CLIPModel or SiglipModel (config.json, model.safetensors or its pieces by
            index), or a model folder of open_clip's form. Position embeddings are resized as open_clip does when it loads weights.

            EXAMPLES
              diptych import --from siglip-base-patch16-224 --out models/siglip-b16
              diptych import --from models/vit-b-16 --image-size 336 --out models/vit-b-16-336
            """)

    @Option(help: "The folder to read.") var from: String
    @Option(help: "The model folder to make; it must not exist.") var out: String
    @Option(help: "Side of the images the new model takes; default: as it is.") var imageSize: Int?
    @Option(help: "Tokens of a caption in the new model; default: as it is.") var contextLength: Int?

    func validate() throws {
        guard imageSize ?? 1 > 0, contextLength ?? 1 > 0 else {
            throw ValidationError("--image-size and --context-length must be positive.")
        }
    }

    func execute() throws {
        var (model, preprocess, notes) = try DualEncoder.read(from, on: CPUDevice(threads: 1))
        notes.forEach(say)
        if imageSize != nil || contextLength != nil {
            model = try model.resized(imageSize: imageSize, contextLength: contextLength, path: from)
            if let imageSize { preprocess = preprocess.setting("size", to: .integer(imageSize)) }
        }
        try makeFolder(out) { folder in
            try ModelFolder.write(model, preprocess: preprocess, to: folder)
            try copyTokenizer(from: from, to: folder)
        }
        say("\(out): \(model.parameterCount) parameters")
    }
}

struct ExportCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a model as a Hugging Face folder.",
        discussion: """
            Writes config.json, model.safetensors and preprocessor_config.json as transformers' CLIPModel or SiglipModel
            reads them. Towers that these have no form for are refused.

            EXAMPLES
              diptych export --model runs/flickr8k/model --to hf --out flickr8k-hf
            """)

    enum Target: String, ExpressibleByArgument, CaseIterable { case hf }

    @Option(help: "A model folder.") var model: String
    @Option(help: "The form to write: hf.") var to: Target
    @Option(help: "The folder to make; it must not exist.") var out: String

    func execute() throws {
        let (source, preprocess, notes) = try DualEncoder.read(model, on: CPUDevice(threads: 1))
        notes.forEach(say)
        try HuggingFaceFolder.check(source, path: model)
        try makeFolder(out) { folder in
            try HuggingFaceFolder.write(source, preprocess: preprocess, to: folder)
            if !Files.exists(model + "/tokenizer") { try copyTokenizer(from: model, to: folder) }
            try writeTokenizer(of: source, to: folder)
        }
        say("\(out): \(source.parameterCount) parameters")
    }
}

extension ExportCommand {
    /// The tokenizer's files in transformers' form: CLIP's byte pairs, or a sentencepiece model under its usual name.
    private func writeTokenizer(of source: DualEncoder, to folder: String) throws {
        let own = model + "/tokenizer"
        if Files.exists(own + "/card.yaml") {
            let card = try TokenizerCard(own)
            guard card.kind == .sentencePiece else { return }
            try AtomicFile.write(readFile(own + "/" + card.file), to: folder + "/spiece.model")
        } else if source.blueprint.text.vocabulary == 49408,
            Files.exists(BPETokenizer.installedVocabulary)
        {
            try BPETokenizer.writeHuggingFace(
                vocabulary: BPETokenizer.installedVocabulary, contextLength: source.blueprint.text.contextLength,
                to: folder)
        }
    }
}

/// Fills a folder that is there only when it is whole.
private func makeFolder(_ path: String, _ fill: (String) throws -> Void) throws {
    guard !Files.exists(path) else {
        throw Failure(.usage, path, "exists already", remedy: "Give --out a new name")
    }
    try AtomicFile.writeFolder(path, fill)
}

/// A tokenizer goes where its model goes: its files, never links or what else may stand beside them.
func copyTokenizer(from source: String, to folder: String) throws {
    func copy(_ name: String) throws {
        try AtomicFile.write(readFile("\(source)/\(name)"), to: "\(folder)/\(name)")
    }
    let loose = ["spiece.model", "tokenizer_config.json", "tokenizer.json", "vocab.json", "merges.txt"]
    for name in loose where Files.isFile("\(source)/\(name)") { try copy(name) }
    guard Files.exists("\(source)/tokenizer/card.yaml") else { return }
    try TokenizerCard(source + "/tokenizer").copy(to: folder + "/tokenizer")
}
