import Tokenization
import Encoders
package import Models
import Foundation
package import Processes
package import Images
package import Support
import TensorCore

/// How much each expert counts in a task, and why.
package struct Route: Sendable {
    /// The experts, by the numbers their clusters gave them.
    package let experts: [Int]
    /// Of each expert; they sum to 1.
    package let weights: [Double]
    /// The largest weight an expert could get with that number of texts.
    package let bound: Double
    /// For each text the expert it speaks for and by how much.
    package let texts: [(expert: Int, affinity: Double)]

    package init(
        weights: [Double], bound: Double, texts: [(expert: Int, affinity: Double)] = [], experts: [Int]? = nil
    ) {
        self.experts = experts ?? Array(weights.indices)
        self.weights = weights
        self.bound = bound
        self.texts = texts
    }

    package static func uniform(_ experts: [Int]) -> Route {
        let share = 1 / Double(experts.count)
        return Route(weights: experts.map { _ in share }, bound: share, experts: experts)
    }

    /// In nats; the logarithm of the number of experts when all count the same.
    package var entropy: Double { weights.filter { $0 > 0 }.reduce(0) { $0 - $1 * log($1) } }

    /// The weights of some experts alone, made to sum to 1.
    package func restricted(to kept: [Int]) -> Route {
        guard kept != experts else { return self }
        let old = Dictionary(uniqueKeysWithValues: zip(experts, weights))
        let total = kept.reduce(0) { $0 + (old[$1] ?? 0) }
        return Route(
            weights: kept.map { total > 0 ? (old[$0] ?? 0) / total : 1 / Double(kept.count) },
            bound: bound(among: kept.count), texts: texts, experts: kept)
    }

    /// Only the `count` heaviest experts count; ties to the lower number.
    package func top(_ count: Int) -> Route {
        let kept = Set(weights.indices.sorted { (weights[$1], $0) < (weights[$0], $1) }.prefix(count))
        let total = kept.reduce(0) { $0 + weights[$1] }
        return Route(
            weights: weights.indices.map { kept.contains($0) ? weights[$0] / total : 0 },
            bound: bound(among: kept.count), texts: texts, experts: experts)
    }

    /// With the largest weight on one expert the others have equal ones.
    private func bound(among count: Int) -> Double {
        guard weights.count > 1 else { return bound }
        let other = (1 - bound) / Double(weights.count - 1)
        return bound / (bound + Double(count - 1) * other)
    }
}

/// Chooses weights for a task from the texts that describe it.
package protocol TaskRouter: Sendable {
    /// The weights of the task that all groups are, and of each group as a task of its own.
    ///
    /// - Parameter groups: for each class its prompts, or each caption of a corpus alone
    func routes(_ groups: [[String]]) throws -> (task: Route, each: [Route])
}

/// What a benchmark is run on: one model, or experts whose cosines are summed with weights.
package struct Ensemble: Sendable {
    package let members: [Model]
    /// The members' numbers.
    package let experts: [Int]
    /// nil: all count the same.
    package let router: (any TaskRouter)?
    /// Run only that many experts of a task.
    package let top: Int?
    package let name: String

    package init(_ model: Model) {
        (members, experts, router, top, name) = ([model], [0], nil, nil, model.name)
    }

    /// - Throws: `Failure(.badData)` when the members do not take the same inputs.
    package init(
        _ members: [Model], experts: [Int], router: (any TaskRouter)?, top: Int? = nil, name: String
    ) throws {
        let first = members[0]
        for member in members.dropFirst()
        where try member.preprocess.json != first.preprocess.json
            || member.tokenizer.digest != first.tokenizer.digest
            || member.encoder.blueprint != first.encoder.blueprint
        {
            throw Failure(
                .badData, member.name, "has another model, preprocessing or tokenizer than \(first.name)",
                remedy: "Experts of one mixture come from one seed run")
        }
        self.members = members
        self.experts = experts
        self.router = router
        self.top = top
        self.name = name
    }

    var first: Model { members[0] }

    func routes(_ groups: [[String]]) throws -> (task: Route, each: [Route]) {
        let uniform = Route.uniform(experts)
        let (task, each) = try router?.routes(groups) ?? (uniform, groups.map { _ in uniform })
        return top.map { top in (task.top(top), each.map { $0.top(top) }) } ?? (task, each)
    }

    /// Width of the rows of `features`.
    package var width: Int { members.count * first.encoder.blueprint.embedWidth }

    /// [N, members x E] unit rows: the members' features side by side, each the same share of the length.
    ///
    /// Over several ranks at rank 0, none at the others.
    ///
    /// - Parameter skip: sees bad images, which then have no row; nil throws them
    package func features(
        images count: Int, over group: any ProcessGroup = Alone(), progress: (Int) -> Void,
        skip: ((Int, Failure) -> Void)? = nil, _ load: @Sendable (Int) throws -> any Raster
    ) throws -> [Float] {
        let parts = try Model.encode(members, images: count, over: group, progress: progress, skip: skip, load)
        guard group.isRoot else { return [] }
        return Self.joined(parts, count: parts[0].count / first.encoder.blueprint.embedWidth, weights: { _ in nil })
    }

    /// Over several ranks at rank 0, none at the others.
    ///
    /// - Parameter progress: sees the texts done by all members, out of members times texts
    package func features(
        texts: [String], over group: any ProcessGroup = Alone(), progress: (Int) -> Void = { _ in }
    ) throws -> [Float] {
        let parts = try members.enumerated().map { index, member in
            try member.encode(texts: texts, over: group) { progress(index * texts.count + $0) }
        }
        guard group.isRoot else { return [] }
        return Self.joined(parts, count: texts.count, weights: { _ in nil })
    }

    /// What a person should know of how the members' folders were read.
    package var notes: [String] { members.flatMap(\.notes) }

    /// Rows of several models side by side.
    ///
    /// - Parameter weights: what each member's part of a row is multiplied by; nil: 1 / sqrt(members)
    static func joined(_ parts: [[Float]], count: Int, weights: (Int) -> [Double]?) -> [Float] {
        guard parts.count > 1 else { return parts[0] }
        let width = count > 0 ? parts[0].count / count : 0
        let same = [Double](repeating: 1 / Double(parts.count).squareRoot(), count: parts.count)
        var rows: [Float] = []
        rows.reserveCapacity(parts.count * count * width)
        for row in 0..<count {
            for (part, weight) in zip(parts, weights(row) ?? same) {
                rows += part[row * width..<(row + 1) * width].lazy.map { $0 * Float(weight) }
            }
        }
        return rows
    }
}
