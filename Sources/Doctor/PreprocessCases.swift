import Foundation
import Images
import Support
import TensorCore
import Weights

extension Doctor {
    func preprocessCases() throws -> [StageResult] {
        let cases = try JSON(file: path("preprocess/cases.json"))
        let expected = try Safetensors(path("preprocess/expected.safetensors"))
        var modes: [String: Preprocess] = [:]
        for (name, mode) in cases["modes"]?.object ?? [:] {
            var mode = mode.object ?? [:]
            mode["size"] = mode["image_size"]
            mode["image_size"] = nil
            modes[name] = try Preprocess(.object(mode), height: 224, width: 224, path: path("preprocess/cases.json"))
        }
        var stages = PreprocessStages()
        for entry in cases["images"]?.array ?? [] {
            guard let file = entry["file"]?.string else { continue }
            let truth = try PixelImage(decoding: readFile(path("preprocess/decoded/" + decodedName(file))))
            let data = try readFile(path("preprocess/images/" + file))
            stages.decode(data, file, truth)
            let unconverted = try? OpenedImage(decoding: data)
            for (name, mode) in modes.sorted(by: { $0.key < $1.key }) {
                let own = "\(file)/\(name)/as_opened"
                if let unconverted, expected.entries[own] != nil {
                    stages.opened.compare(
                        own, try expected.integers(own).map(Double.init),
                        mode.geometry(unconverted).pixels.map(Double.init))
                }
                let key = "\(file)/\(name)/rgb_first"
                guard expected.entries[key] != nil else { continue }
                let ready = mode.geometry(truth)
                stages.resizing.compare(
                    key, try expected.integers(key).map(Double.init), ready.pixels.map(Double.init))
                guard expected.entries[key + "/float"] != nil else { continue }
                let pixels = device.tensor(
                    try expected.integers(key).map { UInt8($0) }, shape: [1] + (try expected.entry(key).shape))
                let table = device.tensor(mode.table, shape: [3, 256])
                stages.floats.compare(
                    key + "/float", try expected.floats(key + "/float"), normalizePixels(pixels, by: table).floats)
            }
        }
        return stages.results + (try corruptCases()) + (try sizeCases())
    }

    private func decodedName(_ file: String) -> String {
        let candidates = [file + ".png", (file as NSString).deletingPathExtension + ".png", file]
        return candidates.first { Files.exists(path("preprocess/decoded/" + $0)) }
            ?? candidates[0]
    }

    private func corruptCases() throws -> [StageResult] {
        guard Files.exists(path("preprocess/corrupt.json")) else { return [] }
        var wrong: [String] = []
        for entry in try JSON(file: path("preprocess/corrupt.json")).array ?? [] {
            guard let file = entry["file"]?.string, let usable = entry["usable"]?.bool else { continue }
            let mine = (try? PixelImage(decoding: readFile(path("preprocess/corrupt/" + file)))) != nil
            if mine != usable { wrong.append("\(file) is \(usable ? "usable" : "unusable") to PIL") }
        }
        return [StageResult("broken files", wrong.isEmpty ? .passed : .failed(cause: wrong.joined(separator: ", ")))]
    }

    private func sizeCases() throws -> [StageResult] {
        var stage = Comparison(
            "sizes and offsets", Tolerance(absolute: 0, relative: 0), cause: "rounding of the longer side")
        for entry in try JSON(file: path("preprocess/resize_sizes.json")).array ?? [] {
            func number(_ key: String) -> Int { entry[key]?.integer ?? 0 }
            let (w, h, target) = (number("w"), number("h"), number("target"))
            let mine = Preprocess.shortestSide(w, h, target)
            let wanted = entry["shortest_resize_wh"]?.array?.compactMap(\.number) ?? []
            stage.compare("\(w)x\(h) to \(target)", wanted, [Double(mine.width), Double(mine.height)])
        }
        return [stage.result]
    }
}

private struct PreprocessStages {
    // JPEG and lossy WebP may differ by the codec's version; PNG and lossless WebP may not.
    var lossless = Comparison(
        "decoding, lossless", Tolerance(absolute: 0, relative: 0), cause: "palette, alpha, 16-bit or grey conversion")
    var lossy = Comparison(
        "decoding, lossy", Tolerance(absolute: 2, relative: 0), cause: "another codec version, CMYK inversion")
    var resizing = Comparison(
        "resizing of decoded pixels", Tolerance(absolute: 1, relative: 0), cause: "pass order, crop offset or rounding")
    var floats = Comparison(
        "float from 8 bits", Tolerance(absolute: 1e-6, relative: 0), cause: "mean and deviation, RGB order")
    var opened = Comparison(
        "resizing as opened", Tolerance(absolute: 1, relative: 0),
        cause: "nearest for palettes, premultiplied alpha, CMYK or 16-bit grey, the padding's index")
    var refused: [String] = []

    mutating func decode(_ data: Data, _ file: String, _ truth: PixelImage) {
        do throws(ImageFault) {
            let mine = try PixelImage(decoding: data)
            let (a, b) = (truth.pixels.map(Double.init), mine.pixels.map(Double.init))
            if file.hasSuffix("png") || file.contains("lossless") {
                lossless.compare(file, a, b)
            } else {
                lossy.compare(file, a, b)
            }
        } catch { refused.append("\(file): \(error)") }
    }

    var results: [StageResult] {
        [lossless.result, lossy.result, resizing.result, floats.result]
            + refused.map { StageResult("decoding", .notRun(reason: $0)) } + (opened.isEmpty ? [] : [opened.result])
    }
}
