/// A text made scalar by scalar. Appending to a `String.UnicodeScalarView` copies the whole of it for every scalar that is
/// not ASCII; this is linear.
struct ScalarText {
    private var bytes: [UInt8] = []

    var isEmpty: Bool { bytes.isEmpty }
    var string: String { String(decoding: bytes, as: UTF8.self) }

    mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.isASCII {
            bytes.append(UInt8(truncatingIfNeeded: scalar.value))
        } else {
            bytes.append(contentsOf: String(scalar).utf8)
        }
    }

    mutating func append(contentsOf scalars: some Sequence<Unicode.Scalar>) {
        for scalar in scalars { append(scalar) }
    }
}

extension String {
    init(scalars: some Sequence<Unicode.Scalar>) {
        var text = ScalarText()
        text.append(contentsOf: scalars)
        self = text.string
    }
}
