import Foundation
import Objectives
import Optimizers
import Support
import TensorCore
import Weights

extension Doctor {
    func lossCases() throws -> [StageResult] {
        let file = try Safetensors(path("losses/single.safetensors"))
        let settings = try JSON(file: path("losses/single.json"))
        let names = Set(file.names.compactMap { $0.hasSuffix(".softmax.loss") ? String($0.dropLast(13)) : nil })
            .sorted()
        return try Objective.allCases.map { objective in
            var losses = Comparison("\(objective.rawValue) loss", Tolerance(absolute: 0, relative: 5e-6))
            var gradients = Comparison("\(objective.rawValue) gradients", Tolerance(absolute: 0, relative: 1e-5))
            for name in names {
                let prefix = "\(name).\(objective.rawValue)."
                let images = try file.tensor("\(name).image_features", on: device).watched()
                let texts = try file.tensor("\(name).text_features", on: device).watched()
                let entry = settings.array?.first { $0["case"]?.string == name } ?? .null
                guard let logScaleValue = entry["log_scale"]?.number, let biasValue = entry["bias"]?.number else {
                    throw Failure(.badData, path("losses/single.json"), "case \(name) has no log_scale or bias")
                }
                let scale = expf(Float(logScaleValue))
                let logScale = device.tensor([Float(logScaleValue)], shape: []).watched()
                let bias = device.tensor([Float(biasValue)], shape: []).watched()
                let loss = objective.loss(images: images, texts: texts, logScale: logScale, logitBias: bias)
                loss.backward()
                losses.compare(name, try file.floats(prefix + "loss"), [loss.scalar])
                for (key, tensor) in [
                    ("grad_image_features", images), ("grad_text_features", texts), ("grad_log_scale", logScale),
                ] {
                    gradients.compare(prefix + key, try file.floats(prefix + key), tensor.gradient?.floats ?? [])
                }
                if objective == .sigmoid {
                    gradients.compare(
                        prefix + "grad_bias", try file.floats(prefix + "grad_bias"), bias.gradient?.floats ?? [])
                }
                gradients.compare(
                    prefix + "grad_scale", try file.floats(prefix + "grad_scale"),
                    (logScale.gradient?.floats ?? []).map { $0 / scale })
            }
            return [losses.result, gradients.result]
        }.flatMap { $0 }
    }

    func optimizerCases() throws -> [StageResult] {
        let file = try Safetensors(path("optimizer/adamw.safetensors"))
        return try (JSON(file: path("optimizer/adamw.json")).array ?? []).map { settings in
            let name = settings["case"]?.string ?? "?"
            let betas = settings["betas"]?.array?.compactMap(\.number) ?? [0.9, 0.999]
            var optimizer = AdamW(
                .init(
                    beta1: betas[0], beta2: betas[1], epsilon: settings["eps"]?.number ?? 1e-8,
                    weightDecay: settings["weight_decay_ndim_ge_2"]?.number ?? 0))
            let start = "\(name).start."
            let names = file.names.filter { $0.hasPrefix(start) }.map { String($0.dropFirst(start.count)) }
            let parameters = try names.map {
                Gradients.Entry(name: $0, value: try file.tensor(start + $0, on: device), gradient: nil)
            }
            let rates = settings["lr_per_step"]?.array?.compactMap(\.number) ?? []
            // Some folders hold the final values under `start` (the array was updated in place while it was
            // kept). Then the first step is taken for its moments alone and the rule is followed from after0.
            let isOverwritten = try names.allSatisfy {
                try rates.count > 1 && file.floats(start + $0) == file.floats("\(name).after\(rates.count - 1).\($0)")
            }
            let title = isOverwritten ? "\(name) (from after0: start holds the end)" : name
            var stage = Comparison(
                title, Tolerance(absolute: 1e-6, relative: 0), cause: "epsilon, bias correction or decay")
            for (step, rate) in rates.enumerated() {
                let gradients = try parameters.map {
                    Gradients.Entry(
                        name: $0.name, value: $0.value,
                        gradient: try file.tensor("\(name).grad\(step).\($0.name)", on: device))
                }
                _ = optimizer.update(
                    Gradients(gradients), loss: device.zeros([]), rate: rate,
                    clip: settings["clip_grad_norm"]?.number)
                for parameter in parameters {
                    if isOverwritten, step == 0 {
                        parameter.value.fill(from: try file.tensor("\(name).after0.\(parameter.name)", on: device))
                    }
                    let key = "\(name).after\(step).\(parameter.name)"
                    stage.compare(key, try file.floats(key), parameter.value.floats)
                }
            }
            for parameter in names {
                guard let moments = optimizer.moments[parameter] else { continue }
                stage.compare("exp_avg", try file.floats("\(name).exp_avg.\(parameter)"), moments.mean.floats)
                stage.compare("exp_avg_sq", try file.floats("\(name).exp_avg_sq.\(parameter)"), moments.square.floats)
            }
            return stage.result
        }
    }

    func scheduleCases() throws -> [StageResult] {
        try (JSON(file: path("schedule/schedules.json")).array ?? []).map { settings in
            let kind = settings["schedule"]?.string ?? "?"
            func number(_ key: String) -> Double { settings[key]?.number ?? 0 }
            let total = Int(number("total_steps"))
            let schedule: Schedule
            switch kind {
            case "cosine": schedule = .cosine
            case "const": schedule = .constant
            case "const-cooldown":
                schedule = .cooldown(
                    steps: Int(number("cooldown_steps")), power: number("cooldown_power"),
                    end: number("cooldown_end_lr"))
            default: return StageResult(kind, .notRun(reason: "unknown schedule"))
            }
            var stage = Comparison("\(kind), \(total) steps", Tolerance(absolute: 0, relative: 1e-12))
            let expected = settings["lr"]?.array?.compactMap(\.number) ?? []
            stage.compare(
                kind, expected,
                expected.indices.map {
                    schedule.rate(
                        at: Double($0), base: number("base_lr"), warmup: Int(number("warmup")), total: total)
                })
            return stage.result
        }
    }
}
