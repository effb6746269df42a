import Foundation
import Support

/// What the router of an ensemble did with a task, beside what it could have done.
package struct ExpertsAudit: Sendable {
    /// Of the task.
    package let route: Route
    /// Mean weight of each expert over the captions as queries, and the mean of their entropies; retrieval only.
    package let queries: (weights: [Double], entropy: Double, bound: Double)?
    /// Each class with the expert that its prompts lie nearest to, and by how much it speaks for it.
    package let classes: [(name: String, expert: Int, affinity: Double)]
    /// The task's metrics by each expert alone.
    package let alone: [[String: Double]]
    package let uniform: [String: Double]
    package let routed: [String: Double]
    package let names: [String]
    /// The experts' numbers, in the order of weights and figures.
    package let experts: [Int]

    init(
        task: EvaluationTask, route: Route, each: [Route], ensemble: Ensemble, values: [EvaluationResult.Value],
        features: TaskFeatures?
    ) {
        self.route = route
        let count = ensemble.members.count
        experts = ensemble.experts
        names = ensemble.members.map(\.name)
        if each.isEmpty {
            queries = nil
        } else {
            let share = 1 / Double(each.count)
            queries = (
                (0..<count).map { member in each.reduce(0) { $0 + $1.weights[member] } * share },
                each.reduce(0) { $0 + $1.entropy } * share, each[0].bound
            )
        }
        classes =
            task.kind == .classification
            ? zip(task.classNames, route.texts).map { ($0, $1.expert, $1.affinity) } : []
        routed = Dictionary(uniqueKeysWithValues: values.map { ($0.name, $0.value) })
        func metrics(_ weights: [Double]) -> [String: Double] {
            guard let features else { return [:] }
            let outcome = features.outcome(.task(weights), classes: task.classNames.count)
            return Dictionary(uniqueKeysWithValues: outcome.metrics.map { ($0.name, $0.value) })
        }
        alone = features == nil ? [] : (0..<count).map { own in metrics((0..<count).map { $0 == own ? 1 : 0 }) }
        uniform = metrics(Route.uniform(experts).weights)
    }

    /// The best expert of each metric: the oracle choice.
    package var oracle: [String: (value: Double, expert: Int)] {
        Dictionary(
            uniqueKeysWithValues: uniform.keys.map { name in
                let values = alone.map { $0[name] ?? 0 }
                let best = values.indices.max { (values[$0], $1) < (values[$1], $0) }!
                return (name, (values[best], experts[best]))
            })
    }

    /// How much the oracle choice is ahead of the router.
    package var regret: [String: Double] {
        oracle.mapValues(\.value).merging(routed) { $0 - $1 }.filter { uniform[$0.key] != nil }
    }

    package var json: JSON {
        func object(_ values: [String: Double]) -> JSON { .object(values.mapValues { .number($0) }) }
        func list(_ values: [Double]) -> JSON { .array(values.map { .number($0) }) }
        var members: [String: JSON] = [
            "names": .array(names.map { .string($0) }), "experts": .array(experts.map { .integer($0) }),
            "weights": list(route.weights),
            "entropy": .number(route.entropy), "largest_possible_weight": .number(route.bound),
        ]
        if let queries {
            members["queries"] = [
                "mean_weights": list(queries.weights), "mean_entropy": .number(queries.entropy),
                "largest_possible_weight": .number(queries.bound),
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

    /// For people: weights, and what each expert alone would have reached.
    package var lines: [String] {
        func row(_ values: [Double]) -> String { values.map { String(format: "%.4f", $0) }.joined(separator: "  ") }
        var lines = [
            "experts     \(experts.map(String.init).joined(separator: ", "))",
            "weights     \(row(route.weights))  (entropy \(String(format: "%.4f", route.entropy)), "
                + "largest possible \(String(format: "%.4f", route.bound)))",
        ]
        if let queries {
            lines.append(
                "by caption  \(row(queries.weights))  (mean; entropy \(String(format: "%.4f", queries.entropy)), "
                    + "largest possible \(String(format: "%.4f", queries.bound)))")
        }
        for name in uniform.keys.sorted() {
            let best = oracle[name]!
            lines.append(
                "\(name): alone \(row(alone.map { $0[name]! })), all alike \(row([uniform[name]!])), "
                    + "oracle \(row([best.value])) (expert \(best.expert)), regret \(row([regret[name]!]))")
        }
        return lines
    }
}
