import Models
import ArgumentParser
import Encoders
import Evaluation
import Experts
import Foundation
import Processes
import Images
import Shards
import Support
import Weights

struct EmbedCommand: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Write the features of images and texts.",
        discussion: """
            Unit rows, float32: image_features [N,E] and text_features [M,E]; beside OUT.safetensors, OUT.keys.txt
            holds the images' keys in row order.

            EXAMPLES
              diptych embed --model runs/scenes/model --images photos --out photos.safetensors
              diptych embed --model runs/scenes/model --images photos --skip-bad --out photos.safetensors
              diptych embed --model runs/scenes/model --texts queries.txt --out queries.safetensors
              mpirun -n 4 --bind-to none diptych embed --model runs/scenes/model --images photos --out photos.safetensors
              diptych embed --model all-MiniLM-L6-v2 --texts queries.txt --out sentences.safetensors
            """)

    @Option(help: "A model folder, an experts folder (features side by side), or a sentence encoder.") var model: String
    @Option(help: "A folder of images, one image, or shards.") var images: String?
    @Option(help: "A file with one text a line; an empty line is the empty text.") var texts: String?
    @Option(help: "The file to write, OUT.safetensors.") var out: String
    @Flag(help: "Leave out images that cannot be read: they have no row and no key, are named and counted.")
    var skipBad =
        false
    @Option(help: "Resize images after their conversion to RGB, or as they were opened.") var convert = ImageConversion
        .rgbFirst
    @OptionGroup var ensemble: EnsembleArguments
    @OptionGroup var machine: MachineOptions
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        if images == nil, texts == nil { throw ValidationError("Give --images, --texts or both.") }
    }

    func execute() throws {
        let group = try Ranks.join(patience: ranks.patience)
        if SentenceFolder.stands(at: model) { return try embedSentences(over: group) }
        guard ensemble.topExperts == nil else {
            throw Failure(.usage, "--top-experts", "belongs to a task: features are all experts' side by side")
        }
        let models = try Ensemble(model, ensemble.options, isRouted: false, on: machine.device(group: group))
        models.notes.forEach(say)
        var tensors: [FileTensor] = []
        var keys: [String]?
        if let images {
            let pictures = try PictureList(images, convert)
            pictures.notes.forEach(say)
            let (rows, kept) = try features(of: pictures, models, over: group)
            tensors.append(FileTensor("image_features", rows, shape: [kept.count, models.width]))
            keys = kept
        }
        if let texts {
            let lines = try TextLines.read(texts)
            let progress = ProgressLine("texts", total: lines.count * models.members.count)
            let rows = try models.features(texts: lines, over: group) { progress.update($0) }
            progress.finish()
            tensors.append(FileTensor("text_features", rows, shape: [lines.count, models.width]))
        }
        guard group.isRoot else { return }
        try Safetensors.write(tensors, to: out)
        if let keys {
            let base = out.hasSuffix(".safetensors") ? String(out.dropLast(12)) : out
            try AtomicFile.write(Self.lines(of: keys), to: base + ".keys.txt")
        }
        try answer(out)
    }

    /// Rows and keys of the same images.
    private func features(
        of pictures: PictureList, _ models: Ensemble, over group: any ProcessGroup
    ) throws -> (rows: [Float], keys: [String]) {
        let progress = ProgressLine("images", total: pictures.keys.count)
        var bad: [(index: Int, failure: Failure)] = []
        let rows = try models.features(
            images: pictures.keys.count, over: group, progress: { progress.update($0) },
            skip: skipBad ? { bad.append(($0, $1)) } : nil
        ) { try pictures.load($0) }
        progress.finish()
        guard !bad.isEmpty else { return (rows, pictures.keys) }
        guard bad.count < pictures.keys.count else {
            throw group.agreed(
                Failure(.badData, images ?? "", "none of the \(bad.count) images can be read: \(bad[0].failure)"))
        }
        for (_, failure) in bad { say("left out: \(failure)") }
        say("\(bad.count) of \(pictures.keys.count) images are left out, \(pictures.keys.count - bad.count) rows")
        let left = Set(bad.map(\.index))
        return (rows, pictures.keys.indices.filter { !left.contains($0) }.map { pictures.keys[$0] })
    }

    /// A key a line, its own bytes; line ends in a key are written \n and \r, so that rows and lines stay together.
    private static func lines(of keys: [String]) -> Data {
        var data = Data()
        for key in keys {
            for byte in key.nameBytes {
                switch byte {
                case 0x0A: data.append(contentsOf: Array("\\n".utf8))
                case 0x0D: data.append(contentsOf: Array("\\r".utf8))
                default: data.append(byte)
                }
            }
            data.append(0x0A)
        }
        return data
    }

    /// A sentence encoder has texts only.
    private func embedSentences(over group: any ProcessGroup) throws {
        guard images == nil, let texts else {
            throw group.agreed(Failure(.usage, model, "is a sentence encoder: it embeds texts, not images"))
        }
        let embedder = try SentenceEmbedder(model, on: machine.device(group: group))
        let lines = try TextLines.read(texts)
        let progress = ProgressLine("texts", total: lines.count)
        let features = try embedder.embed(lines, over: group) { progress.update($0) }
        progress.finish()
        guard group.isRoot else { return }
        try Safetensors.write(
            [FileTensor("text_features", features, shape: [lines.count, embedder.width])], to: out)
        try answer(out)
    }
}

/// Images of a folder (relative paths, sorted bytewise), a single one, or those of shards (member order).
private struct PictureList: Sendable {
    /// By its name or its first bytes; any other file is taken for an image, and told apart by its decoder.
    private static func isShard(_ path: String) throws -> Bool {
        if shardSuffixes.contains(where: { path.hasSuffix($0) }) { return true }
        let file = try InputFile(path)
        let head = try file.read(0, min(512, file.length))
        return Gzip.isGzip(head) || head.dropFirst(257).starts(with: Data("ustar".utf8))
    }

    let keys: [String]
    let notes: [String]
    let load: @Sendable (Int) throws -> any Raster

    init(_ path: String, _ conversion: ImageConversion) throws {
        if Files.isFolder(path), case let images = try ImageFiles(path), !images.areShards {
            guard !images.files.isEmpty else {
                throw Failure(
                    .inputMissing, path, "holds no images and no shards",
                    remedy: images.note ?? "Images end in \(ImageFormat.suffixes.joined(separator: ", "))")
            }
            let (keys, alike) = images.keys
            self.keys = keys
            notes =
                [images.note].compactMap { $0 }
                + (alike > 0 ? ["\(path): \(alike) keys keep their suffix, because they would be alike without"] : [])
            load = { try ImageFiles.open(path + "/" + images.files[$0], conversion) }
        } else if Files.isFile(path), try !Self.isShard(path) {
            keys = [Files.withoutSuffix(Files.name(of: path))]
            notes = []
            load = { _ in try ImageFiles.open(path, conversion) }
        } else {
            let shards = try Shard.open(expandShards(path))
            let places = shards.flatMap { shard in (0..<shard.count).map { (shard: shard, sample: $0) } }
            keys = try shards.flatMap { shard in
                let open = try shard.open()
                return try (0..<shard.count).map { try open.sample($0).key }
            }
            let again = keys.count - Set(keys.map { NameKey($0) }).count
            notes =
                shards.flatMap { shard in shard.notes.map { "\(shard.path): \($0)" } }
                + (again > 0 ? ["\(path): \(again) keys occur more than once; rows follow the shards' order"] : [])
            load = { [keys] index in
                let (shard, sample) = places[index]
                do throws(SampleFault) { return try shard.sample(sample).image(conversion) } catch {
                    if case .shard(let failure) = error { throw failure }
                    throw Failure(.badData, "\(shard.path): \(keys[index])", error.description)
                }
            }
        }
    }
}
