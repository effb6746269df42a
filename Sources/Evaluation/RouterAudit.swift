import Models
import Records

extension AuditRecord {
    /// - Parameters:
    ///   - each: routes of the captions as queries; empty for a task without
    ///   - outcome: the task's figures by weights; nil without an audit
    init(
        _ ensemble: Ensemble, _ route: Route, each: [Route], classNames: [String], routed: [EvaluationRecord.Value],
        outcome: (([Double]) -> [Metric])?
    ) {
        self.init(
            names: ensemble.members.map(\.name), experts: ensemble.experts, weights: route.weights,
            entropy: route.entropy, largestPossibleWeight: route.bound)
        let count = ensemble.members.count
        if let first = each.first {
            let share = 1 / Double(each.count)
            queries = Queries(
                meanWeights: (0..<count).map { member in each.reduce(0) { $0 + $1.weights[member] } * share },
                meanEntropy: each.reduce(0) { $0 + $1.entropy } * share, largestPossibleWeight: first.bound)
        }
        classes = zip(classNames, route.texts).map { Class(name: $0, expert: $1.expert, affinity: $1.affinity) }
        guard let outcome else { return }
        func metrics(_ weights: [Double]) -> [String: Double] {
            Dictionary(outcome(weights).map { ($0.name, $0.value) }) { $1 }
        }
        alone = (0..<count).map { own in metrics((0..<count).map { $0 == own ? 1 : 0 }) }
        uniform = metrics(Route.uniform(experts).weights)
        for name in uniform.keys {
            let values = alone.map { $0[name] ?? 0 }
            guard let best = values.indices.max(by: { (values[$0], $1) < (values[$1], $0) }) else { continue }
            oracle[name] = (values[best], experts[best])
            if let own = routed.first(where: { $0.name == name }) { regret[name] = values[best] - own.value }
        }
    }
}
