import Support
import Foundation

/// Text cleaning on Unicode scalars, as Python's str methods do it: Swift's Character rules differ (final
/// sigma, the separators U+001C to U+001F).
package enum Clean {
    /// Python's str.isspace for one code point.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Python's str.strip.
    package static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !isSpace($0) }),
            let last = scalars.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return String(scalars[first...last])
    }

    /// `" ".join(text.split())`
    package static func whitespace(_ text: String) -> String {
        var out = ScalarText()
        var isPending = false
        for scalar in text.unicodeScalars {
            if isSpace(scalar) {
                isPending = !out.isEmpty
            } else {
                if isPending { out.append(" ") }
                isPending = false
                out.append(scalar)
            }
        }
        return out.string
    }

    /// Python's str.lower: full case mapping, a final capital sigma to its final form.
    package static func lower(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var out = ScalarText()
        for (index, scalar) in scalars.enumerated() {
            if scalar.isASCII {
                out.append(scalar.value >= 65 && scalar.value <= 90 ? Unicode.Scalar(point: scalar.value + 32) : scalar)
            } else if scalar.value == 0x3A3 {
                out.append(isFinal(index, scalars) ? "\u{3C2}" : "\u{3C3}")
            } else {
                out.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            }
        }
        return out.string
    }

    /// A cased letter before and none after, case-ignorable ones skipped.
    private static func isFinal(_ index: Int, _ scalars: [Unicode.Scalar]) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    /// SigLIP's: underscores to spaces, ASCII punctuation deleted, lower case, spaces collapsed.
    package static func canonicalize(_ text: String) -> String {
        var kept = ScalarText()
        for scalar in text.unicodeScalars {
            if scalar == "_" {
                kept.append(" ")
            } else if !(scalar.isASCII && scalar.value > 32 && scalar.value < 127 && !isASCIIAlphanumeric(scalar)) {
                kept.append(scalar)
            }
        }
        return whitespace(lower(kept.string))
    }

    private static func isASCIIAlphanumeric(_ scalar: Unicode.Scalar) -> Bool {
        (48...57).contains(scalar.value) || (65...90).contains(scalar.value) || (97...122).contains(scalar.value)
    }

    /// Python's html.unescape: the HTML standard's character references, unfinished ones too.
    package static func htmlUnescaped(_ text: String) -> String {
        guard text.unicodeScalars.contains("&") else { return text }
        let scalars = Array(text.unicodeScalars)
        var out = ScalarText()
        var index = 0
        while index < scalars.count {
            guard scalars[index] == "&", let (value, end) = reference(scalars, index + 1) else {
                out.append(scalars[index])
                index += 1
                continue
            }
            out.append(contentsOf: value.unicodeScalars)
            index = end
        }
        return out.string
    }

    /// The reference that begins after the ampersand: what it stands for and where it ends.
    private static func reference(_ text: [Unicode.Scalar], _ start: Int) -> (String, Int)? {
        guard start < text.count else { return nil }
        if text[start] == "#" { return numericReference(text, start + 1) }
        var end = start
        while end < text.count, end - start < 32, !"\t\n\u{0C} <&#;".unicodeScalars.contains(text[end]) { end += 1 }
        guard end > start else { return nil }
        if end < text.count, text[end] == ";" { end += 1 }
        func name(_ end: Int) -> String { String(scalars: text[start..<end]) }
        if let value = HTMLEntities.table[name(end)] { return (value, end) }
        for shorter in stride(from: end - 1, to: start + 1, by: -1) {
            if let value = HTMLEntities.table[name(shorter)] { return (value, shorter) }
        }
        return nil
    }

    private static func numericReference(_ text: [Unicode.Scalar], _ start: Int) -> (String, Int)? {
        let isHex = start < text.count && (text[start] == "x" || text[start] == "X")
        let first = isHex ? start + 1 : start
        var end = first
        var number = 0
        while end < text.count, text[end].isASCII, let digit = Character(text[end]).hexDigitValue, isHex || digit < 10 {
            number = min(number * (isHex ? 16 : 10) + digit, 0x110000)
            end += 1
        }
        guard end > first else { return nil }
        if end < text.count, text[end] == ";" { end += 1 }
        return (character(number), end)
    }

    /// What the HTML standard makes of a numeric reference.
    private static func character(_ number: Int) -> String {
        // 0x80...0x9F are read as Windows-1252.
        let windows: [UInt32] = [
            0x20AC, 0x81, 0x201A, 0x192, 0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152, 0x8D,
            0x17D, 0x8F,
            0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122, 0x161, 0x203A, 0x153, 0x9D,
            0x17E, 0x178,
        ]
        switch number {
        case 0, 0xD800...0xDFFF, 0x110000...: return "\u{FFFD}"
        case 0x0D: return "\r"
        case 0x80...0x9F: return String(Character(Unicode.Scalar(point: windows[number - 0x80])))
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0xFDD0...0xFDEF: return ""
        case _ where number & 0xFFFE == 0xFFFE: return ""
        default: return String(Character(Unicode.Scalar(point: number)))
        }
    }

    /// open_clip's basic cleaning: mended as by ftfy, references resolved twice.
    static func basic(_ text: String) -> String { htmlUnescaped(htmlUnescaped(TextRepair.mended(text))) }
}
