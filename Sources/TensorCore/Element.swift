/// What tensors are made of. Files may hold others (see `Weights`).
package enum Element: Sendable, CaseIterable {
    case float32
    /// The upper half of a float32: 8 bits of precision. Sums of it are held in float32.
    case bfloat16
    case int32
    case uint8
    /// For sums of squares alone: an optimiser's norm.
    case float64

    /// Of one value, as the host gives and takes it; a device may hold it in more (the reference device does).
    package var bytes: Int {
        switch self {
        case .uint8: 1
        case .bfloat16: 2
        case .float32, .int32: 4
        case .float64: 8
        }
    }

    /// Whether gradients flow through values of it.
    package var isReal: Bool { self == .float32 || self == .bfloat16 }
}

/// bfloat16 as bit patterns.
package enum BFloat16 {
    /// Rounded to the nearest, ties to even; NaN stays NaN.
    package static func bits(_ value: Float) -> UInt16 {
        guard !value.isNaN else { return UInt16(value.bitPattern >> 16) | 0x40 }
        let bits = value.bitPattern
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }

    package static func float(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

    package static func rounded(_ value: Float) -> Float { float(bits(value)) }
}
