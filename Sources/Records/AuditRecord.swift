import Foundation
package import Support

/// What the router of an ensemble did with a task, beside what it could have done.
package struct AuditRecord: Sendable {
    /// Over the captions as queries; retrieval only.
    package struct Queries: Sendable {
        package let meanWeights: [Double]
        package let meanEntropy: Double
        package let largestPossibleWeight: Double

        package init(meanWeights: [Double], meanEntropy: Double, largestPossibleWeight: Double) {
            (self.meanWeights, self.meanEntropy) = (meanWeights, meanEntropy)
            self.largestPossibleWeight = largestPossibleWeight
        }
    }

    /// A class with the expert that its prompts lie nearest to, and by how much it speaks for it.
    package struct Class: Sendable {
        package let name: String
        package let expert: Int
        package let affinity: Double

        package init(name: String, expert: Int, affinity: Double) {
            (self.name, self.expert, self.affinity) = (name, expert, affinity)
        }
    }

    package var names: [String]
    /// The experts' numbers, in the order of weights and figures.
    package var experts: [Int]
    /// Of the task.
    package var weights: [Double]
    package var entropy: Double
    package var largestPossibleWeight: Double
    package var queries: Queries?
    package var classes: [Class] = []
    /// The task's metrics by each expert alone; empty without an audit.
    package var alone: [[String: Double]] = []
    package var uniform: [String: Double] = [:]
    /// The best expert of each metric.
    package var oracle: [String: (value: Double, expert: Int)] = [:]
    /// How much the oracle choice is ahead of the router.
    package var regret: [String: Double] = [:]

    package init(
        names: [String], experts: [Int], weights: [Double], entropy: Double, largestPossibleWeight: Double
    ) {
        (self.names, self.experts, self.weights, self.entropy) = (names, experts, weights, entropy)
        self.largestPossibleWeight = largestPossibleWeight
    }

    package var json: JSON {
        func object(_ values: [String: Double]) -> JSON { .object(values.mapValues { .number($0) }) }
        func list(_ values: [Double]) -> JSON { .array(values.map { .number($0) }) }
        var members: [String: JSON] = [
            "names": .array(names.map { .string($0) }), "experts": .array(experts.map { .integer($0) }),
            "weights": list(weights), "entropy": .number(entropy),
            "largest_possible_weight": .number(largestPossibleWeight),
        ]
        if let queries {
            members["queries"] = [
                "mean_weights": list(queries.meanWeights), "mean_entropy": .number(queries.meanEntropy),
                "largest_possible_weight": .number(queries.largestPossibleWeight),
            ]
        }
        if !classes.isEmpty {
            members["classes"] = .array(
                classes.map {
                    ["class": .string($0.name), "expert": .integer($0.expert), "affinity": .number($0.affinity)]
                })
        }
        if !alone.isEmpty {
            members["alone"] = .array(alone.map(object))
            members["uniform"] = object(uniform)
            members["oracle"] = .object(
                oracle.mapValues { ["value": .number($0.value), "expert": .integer($0.expert)] })
            members["regret"] = object(regret)
        }
        return .object(members)
    }

    /// nil for what is no audit.
    package init?(_ json: JSON) {
        func numbers(_ json: JSON?) -> [Double] { json?.array?.compactMap(\.number) ?? [] }
        func object(_ json: JSON?) -> [String: Double] { json?.object?.compactMapValues(\.number) ?? [:] }
        guard json["weights"]?.array != nil else { return nil }
        self.init(
            names: (json["names"]?.array ?? []).compactMap(\.string),
            experts: (json["experts"]?.array ?? []).compactMap(\.integer), weights: numbers(json["weights"]),
            entropy: json["entropy"]?.number ?? 0, largestPossibleWeight: json["largest_possible_weight"]?.number ?? 0)
        queries = json["queries"].map {
            Queries(
                meanWeights: numbers($0["mean_weights"]), meanEntropy: $0["mean_entropy"]?.number ?? 0,
                largestPossibleWeight: $0["largest_possible_weight"]?.number ?? 0)
        }
        classes = (json["classes"]?.array ?? []).map {
            Class(
                name: $0["class"]?.string ?? "", expert: $0["expert"]?.integer ?? 0,
                affinity: $0["affinity"]?.number ?? 0)
        }
        alone = (json["alone"]?.array ?? []).map { object($0) }
        (uniform, regret) = (object(json["uniform"]), object(json["regret"]))
        oracle = (json["oracle"]?.object ?? [:]).compactMapValues { json in
            guard let value = json["value"]?.number, let expert = json["expert"]?.integer else { return nil }
            return (value, expert)
        }
    }

    /// For people: weights, and what each expert alone would have reached.
    package var lines: [String] {
        func row(_ values: [Double]) -> String { values.map { fixed($0) }.joined(separator: "  ") }
        var lines = [
            "experts     \(experts.map(String.init).joined(separator: ", "))",
            "weights     \(row(weights))  (entropy \(fixed(entropy)), largest possible \(fixed(largestPossibleWeight)))",
        ]
        if let queries {
            lines.append(
                "by caption  \(row(queries.meanWeights))  (mean; entropy \(fixed(queries.meanEntropy)), "
                    + "largest possible \(fixed(queries.largestPossibleWeight)))")
        }
        for (name, best) in oracle.sorted(by: { $0.key < $1.key }) {
            lines.append(
                "\(name): alone \(row(alone.map { $0[name] ?? 0 })), all alike \(fixed(uniform[name] ?? 0)), "
                    + "oracle \(fixed(best.value)) (expert \(best.expert)), regret \(fixed(regret[name] ?? 0))")
        }
        return lines
    }
}

/// Four digits behind the point.
private func fixed(_ value: Double) -> String { String(format: "%.4f", value) }
