/// Names of files and samples are bytes, and need not be UTF-8. A `String` carries them whole: each byte that is no
/// part of a UTF-8 sequence stands as a scalar of its own, U+10FF00 and its value, and is turned back where a file is
/// opened or a name is written. (Such scalars in a name are treated the same way, so nothing is lost.)
///
/// Names are compared by `nameBytes` or `utf8`, never by `==`, which takes canonically equivalent texts for equal.
extension String {
    private static let bytePlane: UInt32 = 0x10_FF00

    /// A name of any bytes: those that are no UTF-8 become scalars of a private plane, and the same bytes again as a path.
    package init(nameBytes bytes: some Collection<UInt8>) {
        if let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0xF4) {
            self = text
            return
        }
        var scalars = UnicodeScalarView()
        var rest = Array(bytes)[...]
        while let first = rest.first {
            let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
            let scalar = rest.count < length ? nil : String(validating: rest.prefix(length), as: UTF8.self)
            if let scalar = scalar?.unicodeScalars.first, scalar.value < Self.bytePlane {
                scalars.append(scalar)
                rest = rest.dropFirst(length)
            } else {
                scalars.append(Unicode.Scalar(point: Self.bytePlane + UInt32(first)))
                rest = rest.dropFirst()
            }
        }
        self = String(scalars)
    }

    /// The bytes that a file system or an archive knows the name by.
    package var nameBytes: [UInt8] {
        guard utf8.contains(0xF4) else { return Array(utf8) }
        return unicodeScalars.flatMap { scalar -> [UInt8] in
            scalar.value >= Self.bytePlane
                ? [UInt8(truncatingIfNeeded: scalar.value)] : Array(String(scalar).utf8)
        }
    }

    /// For people: bytes that are no text as \xE9, control characters as \n or \u{7}.
    package var shownName: String {
        let isPlain = utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0xF4 }
        guard !isPlain else { return self }
        return unicodeScalars.map { scalar -> String in
            if scalar.value >= Self.bytePlane { return "\\x" + String(scalar.value & 0xFF, radix: 16, uppercase: true) }
            return scalar.value < 0x20 || scalar.value == 0x7F
                ? scalar.escaped(asASCII: true) : String(scalar)
        }.joined()
    }

    /// Whether two names are the same bytes.
    package func isSameName(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// By the names' own bytes.
    package func precedesAsName(_ other: String) -> Bool {
        utf8.contains(0xF4) || other.utf8.contains(0xF4)
            ? nameBytes.lexicographicallyPrecedes(other.nameBytes) : utf8.lexicographicallyPrecedes(other.utf8)
    }
}

/// A name as a key of a dictionary: equal only when every byte is.
package struct NameKey: Hashable, Sendable {
    private let bytes: [UInt8]
    package init(_ name: String) { bytes = Array(name.utf8) }
}
