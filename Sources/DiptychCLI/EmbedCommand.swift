import ArgumentParser
import Encoders
import Evaluation
import Experts
import Foundation
import Images
import Shards
import Support
import Weights

struct EmbedCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Write the features of images and texts.",
        discussion: """
            Unit rows, float32: image_features [N,E] and text_features [M,E]; beside OUT.safetensors, OUT.keys.txt
            holds the images' keys in row order.

            EXAMPLES
              diptych embed --model runs/scenes/model --images photos --out photos.safetensors
              diptych embed --model runs/scenes/model --texts queries.txt --out queries.safetensors
              diptych embed --model all-MiniLM-L6-v2 --texts queries.txt --out sentences.safetensors
            """)

    @Option(help: "A model folder, an experts folder (features side by side), or a sentence encoder.") var model: String
    @Option(help: "A folder of images, or shards.") var images: String?
    @Option(help: "A file with one text a line; an empty line is the empty text.") var texts: String?
    @Option(help: "The file to write, OUT.safetensors.") var out: String
    @Option(help: "Resize images after their conversion to RGB, or as they were opened.") var convert = ImageConversion
        .rgbFirst
    @OptionGroup var ensemble: EnsembleArguments
    @OptionGroup var machine: MachineOptions

    func validate() throws {
        if images == nil, texts == nil { throw ValidationError("Give --images, --texts or both.") }
    }

    func execute() throws {
        if SentenceFolder.stands(at: model) { return try embedSentences() }
        guard ensemble.topExperts == nil else {
            throw Failure(.usage, "--top-experts", "belongs to a task: features are all experts' side by side")
        }
        let models = try Ensemble(model, ensemble.options, isRouted: false, on: machine.device())
        let width = models.width
        var tensors: [FileTensor] = []
        var keys: [String]?
        if let images {
            let pictures = try PictureList(images, convert)
            let progress = ProgressLine("images", total: pictures.keys.count)
            let features = try models.features(images: pictures.keys.count, progress: { progress.update($0) }) {
                try pictures.load($0)
            }
            progress.finish()
            tensors.append(FileTensor("image_features", features, shape: [pictures.keys.count, width]))
            keys = pictures.keys
        }
        if let texts {
            let lines = try lines(of: texts)
            let features = models.features(texts: lines)
            tensors.append(FileTensor("text_features", features, shape: [lines.count, width]))
        }
        try Safetensors.write(tensors, to: out)
        if let keys {
            let base = out.hasSuffix(".safetensors") ? String(out.dropLast(12)) : out
            try AtomicFile.write(keys.map { $0 + "\n" }.joined(), to: base + ".keys.txt")
        }
        print(out)
    }

    /// A text a line; an empty line is the empty text.
    private func lines(of path: String) throws -> [String] {
        var lines = String(decoding: try readFile(path), as: UTF8.self)
            .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }.map(String.init)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    /// A sentence encoder has texts only.
    private func embedSentences() throws {
        guard images == nil, let texts else {
            throw Failure(.usage, model, "is a sentence encoder: it embeds texts, not images")
        }
        let embedder = try SentenceEmbedder(model, on: machine.device())
        let lines = try lines(of: texts)
        let progress = ProgressLine("texts", total: lines.count)
        let features = embedder.embed(lines) { progress.update($0) }
        progress.finish()
        try Safetensors.write(
            [FileTensor("text_features", features, shape: [lines.count, embedder.width])], to: out)
        print(out)
    }
}

/// Images of a folder (relative paths, sorted bytewise) or of shards (member order).
private struct PictureList: Sendable {
    let keys: [String]
    let load: @Sendable (Int) throws -> any Raster

    init(_ path: String, _ conversion: ImageConversion) throws {
        var isFolder: ObjCBool = false
        let exists = Files.exists(path, isDirectory: &isFolder)
        if exists, isFolder.boolValue {
            let files = (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? [])
                .filter { ["jpg", "jpeg", "png", "webp"].contains(($0 as NSString).pathExtension.lowercased()) }
                .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            if !files.isEmpty {
                keys = files.map { ($0 as NSString).deletingPathExtension }
                load = { index in
                    let file = path + "/" + files[index]
                    let data = try readFile(file)
                    do throws(ImageFault) { return try conversion.open(data) } catch {
                        throw Failure(.badData, file, error.description)
                    }
                }
                return
            }
        }
        let shards = try expandShards(path).map { try Shard($0) }
        let places = shards.enumerated().flatMap { index, shard in shard.samples.indices.map { (index, $0) } }
        keys = places.map { shards[$0.0].samples[$0.1].key }
        load = { index in
            let (shard, sample) = (shards[places[index].0], shards[places[index].0].samples[places[index].1])
            do throws(SampleFault) { return try shard.image(sample, conversion) } catch {
                throw Failure(.badData, "\(shard.path): \(sample.key)", error.description)
            }
        }
    }
}
