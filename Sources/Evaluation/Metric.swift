package import Records
import Support

/// A figure over samples, with what a bootstrap needs to work it out again on a resample.
package struct Metric: Sendable {
    package let name: String
    private let count: Int
    private let evaluate: @Sendable ([Int]) -> Double

    init(_ name: String, count: Int, evaluate: @escaping @Sendable ([Int]) -> Double) {
        self.name = name
        self.count = count
        self.evaluate = evaluate
    }

    static func mean(_ name: String, _ values: [Double]) -> Metric {
        Metric(name, count: values.count) { sample in
            sample.reduce(0) { $0 + values[$1] } / Double(max(1, sample.count))
        }
    }

    /// With its 95 % interval.
    package var record: EvaluationRecord.Value {
        let (low, high) = interval
        return EvaluationRecord.Value(name: name, value: value, low: low, high: high)
    }

    package var value: Double { evaluate(Array(0..<count)) }

    /// Percentile bootstrap: 1,000 resamples, seed 0, 2.5 and 97.5 %.
    package var interval: (low: Double, high: Double) {
        var random = RandomStream(seed: 0, purpose: "bootstrap")
        let values = (0..<1000).map { _ in evaluate((0..<count).map { _ in random.integer(below: count) }) }.sorted()
        func percentile(_ share: Double) -> Double {
            let place = share * Double(values.count - 1)
            let low = Int(place)
            return values[low] + (values[min(low + 1, values.count - 1)] - values[low]) * (place - Double(low))
        }
        return (percentile(0.025), percentile(0.975))
    }
}
