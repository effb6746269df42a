package import Foundation

/// SHA-256 (FIPS 180-4), for the protocol hash and for files known by their digest.
package struct SHA256 {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var pending: [UInt8] = []
    private var length = 0

    package init() {}

    /// Lower-case hexadecimal digest of `data`.
    package static func hex(_ data: Data) -> String {
        var hash = SHA256()
        hash.update(data)
        return hexadecimal(hash.finish())
    }

    /// Two lower-case digits a byte.
    package static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String(format: "%02x", $0) }.joined()
    }

    package static func hex(_ text: String) -> String { hex(Data(text.utf8)) }

    package mutating func update(_ data: Data) {
        length += data.count
        data.withUnsafeBytes { bytes in
            var start = 0
            if !pending.isEmpty {
                start = min(64 - pending.count, bytes.count)
                pending.append(contentsOf: bytes[0..<start])
                guard pending.count == 64 else { return }
                pending.withUnsafeBytes { compress($0.start) }
                pending.removeAll(keepingCapacity: true)
            }
            while bytes.count - start >= 64 {
                compress(bytes.start + start)
                start += 64
            }
            pending.append(contentsOf: bytes[start...])
        }
    }

    package mutating func finish() -> [UInt8] {
        let bits = UInt64(length) * 8
        var tail = Data([0x80])
        tail.append(Data(count: (119 - length % 64) % 64))
        tail.append(contentsOf: (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) })
        update(tail)
        return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * UInt32($0))) } }
    }

    private mutating func compress(_ block: UnsafeRawPointer) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
            for i in 0..<16 {
                words[i] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: i * 4, as: UInt32.self))
            }
            for i in 16..<64 {
                let a = words[i - 15]
                let b = words[i - 2]
                let s0 = Self.rotate(a, 7) ^ Self.rotate(a, 18) ^ (a >> 3)
                let s1 = Self.rotate(b, 17) ^ Self.rotate(b, 19) ^ (b >> 10)
                words[i] = words[i - 16] &+ s0 &+ words[i - 7] &+ s1
            }
            var (a, b, c, d) = (state[0], state[1], state[2], state[3])
            var (e, f, g, h) = (state[4], state[5], state[6], state[7])
            for i in 0..<64 {
                let s1 = Self.rotate(e, 6) ^ Self.rotate(e, 11) ^ Self.rotate(e, 25)
                let first = h &+ s1 &+ ((e & f) ^ (~e & g)) &+ Self.constants[i] &+ words[i]
                let s0 = Self.rotate(a, 2) ^ Self.rotate(a, 13) ^ Self.rotate(a, 22)
                let second = s0 &+ ((a & b) ^ (a & c) ^ (b & c))
                (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
            }
            for (i, value) in [a, b, c, d, e, f, g, h].enumerated() { state[i] &+= value }
        }
    }

    private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value >> count | value << (32 - count) }

    /// The fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = {
        var primes: [Int] = []
        var candidate = 2
        while primes.count < 64 {
            if primes.allSatisfy({ candidate % $0 != 0 }) { primes.append(candidate) }
            candidate += 1
        }
        return primes.map { prime in
            // floor(prime^(1/3) * 2^32) by integer bisection: exact where a floating cube root is not.
            var low: UInt64 = 0
            var high: UInt64 = 1 << 35
            while high - low > 1 {
                let middle = (low + high) / 2
                if Self.cubeIsAtMost(middle, prime) { low = middle } else { high = middle }
            }
            return UInt32(truncatingIfNeeded: low)
        }
    }()

    /// middle^3 <= prime * 2^96, in 192-bit pieces.
    private static func cubeIsAtMost(_ middle: UInt64, _ prime: Int) -> Bool {
        let square = middle.multipliedFullWidth(by: middle)  // below 2^70
        let low = square.low.multipliedFullWidth(by: middle)
        let high = square.high &* middle  // below 2^41
        let (upper, carry) = low.high.addingReportingOverflow(high)
        return carry ? false : upper < UInt64(prime) << 32
    }
}
