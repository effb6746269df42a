package import Evaluation
import Foundation
import Support
package import TensorCore

/// Weights of experts from how a task's own words lie among the fine centres, in both published forms.
package enum RouterForm: Sendable, Equatable {
    /// Ma et al. 2024, arXiv:2404.16030, eq. 5 and 6 with appendix E: p(c) ~ exp(sum of exp(-d^2 / lambda)).
    case paper(lambda: Double)
    /// The released code: p(c) ~ exp(sum of exp((add - d) mul) / 8), d not squared.
    case release

    package enum Name: String, Sendable, CaseIterable { case paper, release }

    /// What each text adds to the expert that its nearest fine centre belongs to.
    ///
    /// - Parameter squaredDistances: of L texts to their nearest fine centres
    package func affinities(squaredDistances: [Double]) -> [Double] {
        let count = Double(squaredDistances.count)
        switch self {
        case .paper(let lambda):
            // Few texts are softened, many are sharpened.
            let soft = count < 10 ? exp(0.5 - count.squareRoot()) : 1
            let width = count > 200 ? lambda / log(count) : lambda
            return squaredDistances.map { soft * exp(-$0 / width) }
        case .release:
            let add = count < 10 ? exp(0.5 - count.squareRoot()) : 0
            let factor = 5 * log10(max(10, count - 200))
            return squaredDistances.map { exp((add - $0.squareRoot()) * factor) }
        }
    }

    /// - Parameter owners: the experts of the texts' nearest fine centres
    package func route(squaredDistances: [Double], owners: [Int], experts: Int) -> Route {
        let affinities = affinities(squaredDistances: squaredDistances)
        var sums = [Double](repeating: 0, count: experts)
        for (owner, affinity) in zip(owners, affinities) { sums[owner] += affinity }
        // All texts on the centres of one expert.
        let most = self.affinities(squaredDistances: [Double](repeating: 0, count: owners.count)).reduce(0, +)
        let bound = weights([most] + [Double](repeating: 0, count: experts - 1))[0]
        return Route(weights: weights(sums), bound: bound, texts: zip(owners, affinities).map { ($0, $1) })
    }

    private func weights(_ sums: [Double]) -> [Double] {
        let scale = if case .release = self { 1.0 / 8 } else { 1.0 }
        let largest = sums.max() ?? 0
        let exponentials = sums.map { exp(($0 - largest) * scale) }
        let total = exponentials.reduce(0, +)
        return exponentials.map { $0 / total }
    }
}

/// Routes tasks to experts: an embedder, the centres it made, and a form.
package struct Router: TaskRouter {
    package let form: RouterForm
    private let clusters: Clusters
    private let embedder: any CaptionEmbedder
    private let device: any Device
    /// The experts that are there; weights of the others are shared out among them.
    private let present: [Int]

    package init(
        _ form: RouterForm, _ clusters: Clusters, _ embedder: any CaptionEmbedder, present: [Int], on device: any Device
    ) {
        self.form = form
        self.clusters = clusters
        self.embedder = embedder
        self.present = present
        self.device = device
    }

    package func routes(_ groups: [[String]]) throws -> (task: Route, each: [Route]) {
        let near = try near(groups)
        func route(_ near: ArraySlice<(Double, Int)>) -> Route {
            form.route(squaredDistances: near.map(\.0), owners: near.map(\.1), experts: clusters.experts)
                .restricted(to: present)
        }
        return (route(near[...]), near.indices.map { route(near[$0...$0]) })
    }

    /// Each group's squared distance to its nearest fine centre, and that centre's expert.
    private func near(_ groups: [[String]]) throws -> [(Double, Int)] {
        let width = clusters.width
        let rows = try embedder.embed(groups.flatMap { $0 }) { _ in }
        var means = [Float]()
        means.reserveCapacity(groups.count * width)
        var row = 0
        for group in groups {
            if group.count == 1 {
                means += rows[row * width..<(row + 1) * width]
            } else {
                let mean = (0..<width).map { d in
                    (row..<row + group.count).reduce(0.0) { $0 + Double(rows[$1 * width + d]) }
                }
                let length = max(1e-12, mean.reduce(0) { $0 + $1 * $1 }.squareRoot())
                means += mean.map { Float($0 / length) }
            }
            row += group.count
        }
        return KMeans.nearest(means, clusters.fine, width: width, on: device).map {
            (Double($0.squaredDistance), clusters.expertOf[$0.centre])
        }
    }
}
