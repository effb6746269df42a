import Foundation

/// A counter-based random stream: the i-th draw is a hash of (key, i), so a stream can be opened
/// anywhere and never depends on which thread reads it.
///
/// SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"). The key is
/// folded from (seed, purpose, epoch, sample), the only things order and augmentation may depend on.
package struct RandomStream: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64, purpose: String, epoch: Int = 0, sample: Int = 0) {
        var key = Self.mix(seed &+ Self.increment)
        for byte in purpose.utf8 { key = (key ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        key = Self.mix(key &+ UInt64(bitPattern: Int64(epoch)) &* Self.increment)
        key = Self.mix(key ^ UInt64(bitPattern: Int64(sample)) &* 0xD6E8_FEB8_6659_FD93)
        state = key
    }

    private static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    package mutating func next() -> UInt64 {
        state &+= Self.increment
        return Self.mix(state)
    }

    /// Uniform in [0, 1), 53 bits.
    package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in [low, high).
    package mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }

    /// Uniform in 0..<bound, by multiplication (bias below 2^-40 for any bound that fits in memory).
    package mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0, "a random integer needs a positive bound, got \(bound)")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// Normal with mean 0 and deviation 1 (Box-Muller, cosine half).
    package mutating func normal() -> Double {
        let radius = (-2 * log(1 - uniform())).squareRoot()
        return radius * cos(2 * .pi * uniform())
    }

    /// Fisher-Yates, in place.
    package mutating func shuffle<Value>(_ values: inout [Value]) {
        guard values.count > 1 else { return }
        for last in stride(from: values.count - 1, to: 0, by: -1) {
            values.swapAt(last, integer(below: last + 1))
        }
    }
}
