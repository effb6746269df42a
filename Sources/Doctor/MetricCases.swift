import Evaluation
import Foundation
import Support
import TensorCore
import Weights

extension Doctor {
    func retrievalCases() throws -> [StageResult] {
        let file = try Safetensors(path("metrics/retrieval.safetensors"))
        return try (JSON(file: path("metrics/retrieval.json")).array ?? []).flatMap { entry -> [StageResult] in
            let name = entry["case"]?.string ?? "?"
            let owner = try file.integers("\(name).text_owner")
            let images: Tensor
            let texts: Tensor
            if file.entries["\(name).image_features"] != nil {
                images = normalizeRows(try file.tensor("\(name).image_features", on: device))
                texts = normalizeRows(try file.tensor("\(name).text_features", on: device))
            } else {
                // Scores alone: as the features of the texts, against unit vectors.
                texts = try file.tensor("\(name).scores", on: device)
                let count = texts.shape[1]
                let identity: [Float] = (0..<count * count).map { $0 / count == $0 % count ? 1 : 0 }
                images = device.tensor(identity, shape: [count, count])
            }
            let mine = Retrieval.metrics(Retrieval.ranks(images: images, texts: texts, owner: owner), owner: owner)
            if let bounds = entry["bounds"]?.object {
                let outside = mine.filter { metric in
                    let ends = bounds[metric.name]?.array?.compactMap(\.number) ?? [.infinity, -.infinity]
                    return metric.value < ends[0] - 1e-6 || metric.value > ends[1] + 1e-6
                }
                let outcome: StageResult.Outcome =
                    outside.isEmpty
                    ? .passed : .failed(cause: "outside of what any tie-breaking gives: \(outside[0].name)")
                return [StageResult("\(name): within any tie-breaking", outcome)]
            }
            var stage = Comparison(
                "\(name): recalls", Tolerance(absolute: 1e-6, relative: 0),
                cause: "ties, or captions of one image counted apart")
            for metric in mine {
                stage.compare(metric.name, [entry["metrics"]?[metric.name]?.number ?? .nan], [metric.value])
            }
            return [stage.result]
        }
    }

    func classificationCases() throws -> [StageResult] {
        let file = try Safetensors(path("metrics/classification.safetensors"))
        return try (JSON(file: path("metrics/classification.json")).array ?? []).flatMap { entry -> [StageResult] in
            let name = entry["case"]?.string ?? "?"
            let shape = try file.entry("\(name).text_features").shape
            let (classes, templates, width) = (shape[0], shape[1], shape[2])
            let features = normalizeRows(
                device.tensor(try file.floats("\(name).text_features"), shape: [classes * templates, width]))
            let weights = Classification.weights(
                features: features.floats, classes: classes, templates: templates, width: width)
            // Kept as [E,C].
            let transposed = (0..<width).flatMap { e in (0..<classes).map { weights[$0 * width + e] } }
            var classifier = Comparison(
                "\(name): classifier", Tolerance(absolute: 1e-5, relative: 0),
                cause: "templates averaged before they are made unit")
            classifier.compare("classifier", try file.floats("\(name).classifier"), transposed)
            let images = normalizeRows(try file.tensor("\(name).image_features", on: device))
            let rows = device.tensor(weights, shape: [classes, width])
            var logits = Comparison("\(name): logits", Tolerance(absolute: 1e-4, relative: 0))
            logits.compare(
                "logits", try file.floats("\(name).logits"),
                matmul(images, rows, transposeB: true).floats.map { 100 * $0 })
            if entry["metrics"]?["mean_average_precision"] != nil {
                let precisions = Classification.averagePrecisions(
                    scores: matmul(images, rows, transposeB: true).floats,
                    targets: try file.integers("\(name).targets").map { $0 != 0 }, classes: classes)
                var average = Comparison("\(name): average precision", Tolerance(absolute: 1e-6, relative: 0))
                average.compare(
                    "average_precision", try file.floats("\(name).average_precision").map(Double.init), precisions)
                average.compare(
                    "mean_average_precision", [entry["metrics"]?["mean_average_precision"]?.number ?? .nan],
                    [precisions.reduce(0, +) / Double(classes)])
                return [classifier.result, logits.result, average.result]
            }
            let top = Classification.top(min(5, classes), images: images, weights: rows)
            var metrics = Comparison("\(name): metrics", Tolerance(absolute: 1e-6, relative: 0))
            for metric in Classification.metrics(
                top: top, targets: try file.integers("\(name).targets").map { [$0] }, classes: classes)
            {
                metrics.compare(metric.name, [entry["metrics"]?[metric.name]?.number ?? .nan], [metric.value])
            }
            return [classifier.result, logits.result, metrics.result]
        }
    }
}
