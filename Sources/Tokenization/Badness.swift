/// Neighbours that right text hardly has: whether a text was decoded wrongly (ftfy's "badness").
enum Badness {
    static func isFound(in text: [Unicode.Scalar]) -> Bool {
        text.indices.contains { start in rules.contains { fits($0, text, start) } }
    }

    /// One place of a rule.
    private enum Place {
        case one(Set<UInt32>)
        case none(Set<UInt32>)
        case space
        case optionalSpace
        /// Python's \w
        case word
        case anything
        case lineStart
    }

    private static func fits(_ rule: [Place], _ text: [Unicode.Scalar], _ start: Int) -> Bool {
        var index = start
        for place in rule {
            if case .lineStart = place {
                guard index == 0 else { return false }
                continue
            }
            if case .optionalSpace = place {
                if index < text.count, Clean.isSpace(text[index]) { index += 1 }
                continue
            }
            guard index < text.count else { return false }
            let scalar = text[index]
            let isRight =
                switch place {
                case .one(let set): set.contains(scalar.value)
                case .none(let set): !set.contains(scalar.value)
                case .space: Clean.isSpace(scalar)
                case .word: isWord(scalar)
                default: scalar != "\n"
                }
            guard isRight else { return false }
            index += 1
        }
        return true
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            true
        default: scalar == "_"
        }
    }

    private static let rules: [[Place]] = {
        let classes = classTable(TextRepairTables.classes)
        /// Classes by one letter each, and further characters.
        func one(_ letters: String, _ others: String = "") -> Place {
            let names: [Character: String] = [
                "1": "c1", "b": "bad", "w": "law", "$": "currency", "(": "start_punctuation", ")": "end_punctuation",
                "9": "numeric", "k": "kaomoji", "A": "upper_accented", "a": "lower_accented", "U": "upper_common",
                "u": "lower_common", "x": "box", "m": "common",
            ]
            return .one(
                letters.reduce(into: Set(others.unicodeScalars.map(\.value))) {
                    $0.formUnion(names[$1].flatMap { classes[$0] } ?? [])
                })
        }
        func text(_ characters: String) -> [Place] { characters.unicodeScalars.map { .one([$0.value]) } }
        let lower = "abcdefghijklmnopqrstuvwxyz"
        let letters = lower + lower.uppercased()
        let arabic = one("m$b9(", "\u{178}\u{160}\u{AE}\u{B0}\u{B5}\u{BB}")
        let (russian, greek) = (one("", "ВГРС"), one("", "ΒΓΞΟ"))
        var rules: [[Place]] = [
            [one("1")], [one("baAx()$9w"), one("b")], [one("", letters), one("uU"), one("b")],
            [one("b"), one("aAx()$9w")], [one("aux)$9"), one("A")], [one("x)$9"), one("a")], [one("ax)"), one("$")],
            [.space, one("A"), one("$")], [one("Ax"), one("9w")], [one("aAx$)"), one("("), one("9")],
            [one("aA$9xw"), one(")"), one("(")], [one("$9x"), one("(")], [one("", lower), one("A"), one("($")],
            [one("x"), one("k")], [one("aA$9()w"), one("x")], [one("x"), one(")")], [one("aA"), one("()"), .word],
            [one("", "Œœ"), .none(Set(letters.unicodeScalars.map(\.value)))], [one("A"), one("", "\u{B0}")],
        ]
        // Windows-1252
        rules += [
            [one("", "ÂÃÎÐ"), one("()", "€œŠš¢£Ÿž\u{A0}\u{AD}®©°·»–—´")], [one("", "×"), one("", "²³")],
            [one("", "ØÙ"), arabic, one("", "ØÙ"), arabic], [one("", "à"), one("", "²µ¹¼½¾")],
            [one("", "Ã"), one("", "\u{A0}¡")], [one("", lower), .optionalSpace, one("", "ÃÂ"), one("", " ")],
            [.lineStart, one("", "ÃÂ"), one("", " ")], [one(")", lower + ".,?!"), one("", "Â"), one("()", " ")],
        ]
        // MacRoman
        rules += [
            [one("", "√"), one("", "±∂†≠®™´≤≥¥µø")], [one("", "≈"), one("", "°¢")],
            text("‚Ä") + [one("", "ìîïòôúùû†°¢π")], text("‚") + [one("", "âó"), one("", "àä°ê")],
        ]
        // Windows-1251, 1253 and 1257
        rules += [
            text("вЂ"), [russian, one("1b()$", "°µ"), russian],
            text("ГўВЂВ") + [.anything, one("", letters + " ")], text("β€") + [one("", "™\u{A0}Ά\u{AD}®°")],
            [greek, one("1b()$", "°"), greek], text("ā€"),
        ]
        return rules
    }()
}
