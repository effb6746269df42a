package import Support

/// The result of one benchmark, as CLIP_benchmark writes it, with intervals and the protocol's hash.
package struct EvaluationRecord: Sendable {
    package struct Value: Sendable, Equatable {
        package let name: String
        package let value: Double
        /// 95 %
        package let low: Double
        package let high: Double

        package init(name: String, value: Double, low: Double, high: Double) {
            (self.name, self.value, self.low, self.high) = (name, value, low, high)
        }
    }

    package var dataset: String
    package var model: String
    /// CLIP_benchmark's name of the kind of task.
    package var task: String
    package var values: [Value]
    package var protocolHash = ""
    package var samples = 0
    /// Images that the protocol leaves out: those without a label in a multi-label set.
    package var skipped = 0
    package var seconds = 0.0
    /// How the data were read, where a person should know.
    package var notes: [String] = []
    /// What the router did, for an ensemble of several.
    package var experts: AuditRecord?

    package init(dataset: String, model: String, task: String, values: [Value]) {
        (self.dataset, self.model, self.task, self.values) = (dataset, model, task, values)
    }

    package subscript(name: String) -> Double? { values.first { $0.name == name }?.value }

    package var json: JSON {
        let json: JSON = [
            "dataset": .string(dataset), "model": .string(model), "task": .string(task),
            "metrics": .object(Dictionary(values.map { ($0.name, .number($0.value)) }) { $1 }),
            "confidence": .object(Dictionary(values.map { ($0.name, [.number($0.low), .number($0.high)]) }) { $1 }),
            "protocol": .string(protocolHash), "samples": .integer(samples), "skipped": .integer(skipped),
            "seconds": .number(seconds), "notes": .array(notes.map { .string($0) }),
        ]
        return experts.map { json.setting("experts", to: $0.json) } ?? json
    }

    /// nil for what is no result.
    package init?(_ json: JSON) {
        guard let metrics = json["metrics"]?.object, let task = json["task"]?.string else { return nil }
        let values = metrics.sorted { $0.key < $1.key }.compactMap { name, value -> Value? in
            guard let number = value.number else { return nil }
            let ends = json["confidence"]?[name]?.array?.compactMap(\.number) ?? []
            return Value(
                name: name, value: number, low: ends.count == 2 ? ends[0] : number,
                high: ends.count == 2 ? ends[1] : number)
        }
        self.init(
            dataset: json["dataset"]?.string ?? "", model: json["model"]?.string ?? "", task: task, values: values)
        protocolHash = json["protocol"]?.string ?? ""
        (samples, skipped) = (json["samples"]?.integer ?? 0, json["skipped"]?.integer ?? 0)
        seconds = json["seconds"]?.number ?? 0
        notes = (json["notes"]?.array ?? []).compactMap(\.string)
        experts = json["experts"].flatMap(AuditRecord.init)
    }
}
