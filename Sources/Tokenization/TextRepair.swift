import Foundation

/// Mends text that was decoded wrongly or typeset too finely, with the results of ftfy 6.3.1's `fix_text`
/// (https://github.com/rspeer/python-ftfy), which CLIP's tokenizers apply first.
package enum TextRepair {
    package static func mended(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "&") }) { return text }
        var out: [Unicode.Scalar] = []
        var resolvesReferences = true
        var line: [Unicode.Scalar] = []
        func finishLine() {
            if line.contains("<") { resolvesReferences = false }
            out += mended(line: line, resolvesReferences: resolvesReferences)
            line = []
        }
        for scalar in text.unicodeScalars {
            line.append(scalar)
            if scalar == "\n" { finishLine() }
        }
        if !line.isEmpty { finishLine() }
        return String(scalars: out)
    }

    /// Every repair in turn until nothing changes any more.
    private static func mended(line: [Unicode.Scalar], resolvesReferences: Bool) -> [Unicode.Scalar] {
        var text = resolvesReferences ? withShortChains(line) : line
        while true {
            let before = text
            if resolvesReferences { text = withReferencesResolved(text) }
            text = Mojibake.mended(text)
            text = text.map { Mojibake.isControl($0) ? Mojibake.windows(of: $0) : $0 }
            text = text.flatMap { ligatures[$0]?.unicodeScalars.map { $0 } ?? widths[$0] ?? [$0] }
            text = text.map(straightened)
            text = withLineBreaks(text)
            text = withoutTerminalEscapes(text).filter { !isUnwanted($0) }
            text = composed(text)
            if text == before { return text }
        }
    }

    // MARK: Character references

    private static let capitals: [String: String] = {
        var table: [String: String] = [:]
        for (name, value) in HTMLEntities.table where name.hasSuffix(";") && name == name.lowercased() {
            let upper = name.uppercased()
            if Clean.htmlUnescaped("&" + upper) == "&" + upper { table[upper] = value.uppercased() }
        }
        return table
    }()

    /// `&name;` and `&#number;`, only with their semicolon; names in capitals where that is unambiguous.
    private static func withReferencesResolved(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        guard text.contains("&") else { return text }
        var out: [Unicode.Scalar] = []
        var index = 0
        while index < text.count {
            if text[index] == "&", let (value, end) = reference(text, index) {
                out += value.unicodeScalars
                index = end
            } else {
                out.append(text[index])
                index += 1
            }
        }
        return out
    }

    /// `&amp;amp;amp;...` loses one `amp;` a turn and nothing else changes in most of them: what is longer than any repair
    /// takes turns is cut, which gives the same text without a turn for each.
    private static func withShortChains(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        let most = 32
        guard text.count > 4 * most, text.contains("&") else { return text }
        var out: [Unicode.Scalar] = []
        out.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            out.append(text[index])
            index += 1
            guard text[index - 1] == "&" else { continue }
            var links = 0
            // A body that stands for "&" makes one with the body behind it.
            while let (value, end) = reference(text, index - 1), value == "&" {
                links += 1
                if links <= most { out += text[index..<end] }
                index = end
            }
        }
        return out
    }

    private static func reference(_ text: [Unicode.Scalar], _ start: Int) -> (String, Int)? {
        var end = start + 1
        if end < text.count, text[end] == "#" { end += 1 }
        let first = end
        while end < text.count, end - first < 24, text[end].isASCII,
            text[end].properties.isAlphabetic
                || ("0"..."9").contains(text[end])
        { end += 1 }
        guard end > first, end < text.count, text[end] == ";" else { return nil }
        let name = String(scalars: text[(start + 1)...end])
        if let value = HTMLEntities.table[name] ?? capitals[name] { return (value, end + 1) }
        guard name.hasPrefix("#") else { return nil }
        let value = Clean.htmlUnescaped("&" + name)
        return value.contains(";") ? nil : (value, end + 1)
    }

    // MARK: Single characters

    private static let ligatures: [Unicode.Scalar: String] = [
        "\u{132}": "IJ", "\u{133}": "ij", "\u{149}": "\u{2BC}n", "\u{1F1}": "DZ", "\u{1F2}": "Dz", "\u{1F3}": "dz",
        "\u{1C4}": "D\u{17D}", "\u{1C5}": "D\u{17E}", "\u{1C6}": "d\u{17E}", "\u{1C7}": "LJ", "\u{1C8}": "Lj",
        "\u{1C9}": "lj", "\u{1CA}": "NJ", "\u{1CB}": "Nj", "\u{1CC}": "nj", "\u{FB00}": "ff", "\u{FB01}": "fi",
        "\u{FB02}": "fl", "\u{FB03}": "ffi", "\u{FB04}": "ffl", "\u{FB05}": "\u{17F}t", "\u{FB06}": "st",
    ]

    /// Fullwidth and halfwidth forms.
    private static let widths: [Unicode.Scalar: [Unicode.Scalar]] = {
        var table: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        for word in TextRepairTables.widths.split(separator: " ").dropFirst() {
            let points = word.split(separator: "-").compactMap { UInt32($0, radix: 16).flatMap(Unicode.Scalar.init) }
            table[points[0]] = Array(points.dropFirst())
        }
        return table
    }()

    private static func straightened(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0x2BC, 0x2018...0x201B: "'"
        case 0x201C...0x201F: "\""
        default: scalar
        }
    }

    private static func withLineBreaks(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var out: [Unicode.Scalar] = []
        for (index, scalar) in text.enumerated() {
            switch scalar.value {
            case 0x0D, 0x2028, 0x2029, 0x85: out.append("\n")
            case 0x0A where index > 0 && text[index - 1] == "\r": break
            default: out.append(scalar)
            }
        }
        return out
    }

    /// ESC [ digits and semicolons, then a letter.
    private static func withoutTerminalEscapes(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var out: [Unicode.Scalar] = []
        var index = 0
        while index < text.count {
            if text[index] == "\u{1B}", index + 1 < text.count, text[index + 1] == "[" {
                var end = index + 2
                // \d: the decimal digits of every script
                while end < text.count, text[end] == ";" || text[end].properties.generalCategory == .decimalNumber {
                    end += 1
                }
                if end < text.count, text[end].isASCII, text[end].properties.isAlphabetic {
                    index = end + 1
                    continue
                }
            }
            out.append(text[index])
            index += 1
        }
        return out
    }

    private static func isUnwanted(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x00...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x206A...0x206F, 0xFEFF, 0xFFF9...0xFFFC: true
        default: false
        }
    }

    /// Unicode's normal form C.
    private static func composed(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        if text.allSatisfy({ $0.value < 0x300 }) { return text }
        return Array(String(scalars: text).precomposedStringWithCanonicalMapping.unicodeScalars)
    }
}
