package import Encoders
import Foundation
package import Images
package import Processes
package import Support
package import TensorCore
package import Tokenization

/// A model ready to encode: towers, preprocessing and tokenizer.
package struct Model: Sendable {
    package let encoder: DualEncoder
    package let preprocess: Preprocess
    package let name: String
    /// What a person should know of how the folder was read.
    package let notes: [String]
    private let found: Result<any Tokenizer, Failure>

    package init(
        encoder: DualEncoder, preprocess: Preprocess, tokenizer: any Tokenizer, name: String
    ) {
        self.encoder = encoder
        self.preprocess = preprocess
        found = .success(tokenizer)
        self.name = name
        notes = []
    }

    /// A model folder, with the tokenizer that it says is its own.
    ///
    /// - Parameter tokenizer: a tokenizer folder to use instead
    /// - Throws: `Failure` naming what is missing or does not fit. A tokenizer that is not known is an error only once a
    ///   text is to be encoded.
    package init(_ path: String, tokenizer: String? = nil, on device: any Device) throws {
        var read = try DualEncoder.read(path, on: device)
        let settings = read.preprocess
        encoder = read.model
        let blueprint = encoder.blueprint
        let vision = blueprint.vision
        // As open_clip: the tower's size counts, and keys that it does not know are dropped.
        let (kept, dropped) = Preprocess.known(settings)
        let stated = try Preprocess(kept, height: vision.height, width: vision.width, path: path)
        preprocess = try Preprocess(
            kept.without("size", "image_size"), height: vision.height, width: vision.width, path: path)
        if stated != preprocess {
            read.notes.append("\(path): preprocess_cfg.size is not the model's; the model's counts, as in open_clip")
        }
        for key in dropped {
            read.notes.append("\(path): preprocess_cfg.\(key) is not known and not read, as in open_clip")
        }
        notes = read.notes
        let place = ModelTokenizer(folder: path, blueprint: blueprint)
        if let tokenizer {
            let chosen = try TokenizerCard(tokenizer).load()
            try place.check(chosen)
            found = .success(chosen)
        } else {
            do { found = .success(try place.load()) } catch let failure as Failure { found = .failure(failure) }
        }
        name = (path as NSString).standardizingPath
    }

    /// - Throws: `Failure` saying why the model's tokenizer is not known
    package var tokenizer: any Tokenizer { get throws { try found.get() } }

    /// [N,E] unit rows, in the order of the texts; over several ranks at rank 0, none at the others.
    ///
    /// - Throws: `Failure` when the tokenizer is not known, or naming the first text whose feature is not finite
    package func encode(
        texts: [String], over group: any ProcessGroup = Alone(), batch: Int = 256, progress: (Int) -> Void = { _ in }
    ) throws -> [Float] {
        let tokenizer = try tokenizer
        let length = encoder.blueprint.text.contextLength
        let work = EncodeGrid(count: texts.count, batch: batch, group)
        var features: [Float] = []
        for range in work.ranges {
            let ids = TokenBatch(
                texts[range].map { tokenizer.ids($0, contextLength: length) }, contextLength: length,
                padding: tokenizer.padding)
            let rows = withoutTape { encoder.encode(texts: ids).floats }
            if let row = badRow(of: rows) { throw notFinite("text \(range.lowerBound + row + 1)") }
            features += rows
            progress(work.done(after: range))
        }
        return try group.collected(features, "features of the texts")
    }

    /// The first row that is not finite or, as of weights that are all zeros, no unit row.
    private func badRow(of rows: [Float]) -> Int? {
        let width = encoder.blueprint.embedWidth
        return stride(from: 0, to: rows.count, by: width).first { start in
            let square = rows[start..<start + width].reduce(Float(0)) { $0 + $1 * $1 }
            return !(abs(square - 1) < 0.01)
        }.map { $0 / width }
    }

    private func notFinite(_ what: String) -> Failure {
        Failure(
            .badData, name, "the feature of \(what) is not finite, or zero",
            remedy: "The weights overflow or are all zeros: no figure can be had of this model")
    }

    /// [N,E] unit rows, in the order of the images; each batch is decoded on all cores.
    ///
    /// - Throws: what `load` throws, for the first image that fails, or naming one whose feature is not finite
    package func encode(
        images count: Int, batch: Int = 64, progress: (Int) -> Void = { _ in },
        _ load: @Sendable (Int) throws -> any Raster
    ) throws -> [Float] {
        try Self.encode([self], images: count, batch: batch, progress: progress, load)[0]
    }

    /// The same by several models of one preprocessing: images are decoded once. Over several ranks rank 0 has all rows, the
    /// others have none.
    ///
    /// - Parameter skip: sees images that `load` calls bad data, which then have no row; nil throws them
    package static func encode(
        _ models: [Model], images count: Int, over group: any ProcessGroup = Alone(), batch: Int = 64,
        progress: (Int) -> Void = { _ in }, skip: ((Int, Failure) -> Void)? = nil,
        _ load: @Sendable (Int) throws -> any Raster
    ) throws -> [[Float]] {
        let device = models[0].encoder.device
        let table = device.tensor(models[0].preprocess.table, shape: [3, 256])
        let work = EncodeGrid(count: count, batch: batch, group)
        var features = [[Float]](repeating: [], count: models.count)
        var bad = BadImages()
        for range in work.ranges {
            let batch = try models[0].preprocess.decode(range, load, skipping: skip != nil)
            bad.add(batch.bad)
            if !batch.kept.isEmpty {
                let input = normalizePixels(batch.pixels(on: device), by: table)
                for (index, model) in models.enumerated() {
                    let rows = withoutTape { model.encoder.encode(images: input).floats }
                    if let row = model.badRow(of: rows) { throw model.notFinite("image \(batch.kept[row] + 1)") }
                    features[index] += rows
                }
            }
            progress(work.done(after: range))
        }
        if let skip { for (index, failure) in try bad.shared(over: group) { skip(index, failure) } }
        return try features.map { try group.collected($0, "features of the images") }
    }
}
