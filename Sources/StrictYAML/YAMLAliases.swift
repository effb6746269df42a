/// Whether a YAML text repeats a part of itself by an anchor (`&name`) and an alias (`*name`). A few lines of these stand
/// for billions of nodes, and as a key they are compared one by one: they are not read.
enum YAMLAliases {
    /// The line of the first alias; nil where there is none, or no anchor that it could mean.
    ///
    /// Quotes, comments and block scalars are passed over. Elsewhere an asterisk before a word counts wherever a node
    /// could begin, so that nothing that the parser takes for an alias is missed.
    static func firstLine(in text: String) -> Int? {
        guard text.utf8.contains(UInt8(ascii: "&")), text.utf8.contains(UInt8(ascii: "*")) else { return nil }
        var scan = Scan(bytes: Array(text.utf8))
        while scan.step() {}
        return scan.hasAnchor ? scan.aliasLine : nil
    }

    private struct Scan {
        let bytes: [UInt8]
        var hasAnchor = false
        var aliasLine: Int?
        private var at = 0
        private var line = 1

        init(bytes: [UInt8]) { self.bytes = bytes }

        private static let before = Set(" \t\n\r[{,:?-\"'".utf8)
        private static let space = Set(" \t\n\r".utf8)

        mutating func step() -> Bool {
            guard at < bytes.count else { return false }
            let byte = bytes[at]
            let last = at == 0 ? UInt8(ascii: "\n") : bytes[at - 1]
            switch byte {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if Self.before.contains(last) { skipQuoted(byte) }
            case UInt8(ascii: "#"):
                if Self.space.contains(last) { skipLine() }
            case UInt8(ascii: "|"), UInt8(ascii: ">"):
                if Self.space.contains(last) { skipBlock() }
            case UInt8(ascii: "&"): if isName(after: last) { hasAnchor = true }
            case UInt8(ascii: "*"): if isName(after: last) { aliasLine = aliasLine ?? line }
            default: break
            }
            at += 1
            return true
        }

        private func isName(after last: UInt8) -> Bool {
            Self.before.contains(last) && at + 1 < bytes.count && !Self.space.contains(bytes[at + 1])
        }

        /// To the closing quote; the end of the file where there is none, which the parser will say.
        private mutating func skipQuoted(_ quote: UInt8) {
            at += 1
            while at < bytes.count, bytes[at] != quote {
                if bytes[at] == UInt8(ascii: "\n") { line += 1 }
                if quote == UInt8(ascii: "\""), bytes[at] == UInt8(ascii: "\\") { at += 1 }
                at += 1
            }
        }

        private mutating func skipLine() {
            while at + 1 < bytes.count, bytes[at + 1] != UInt8(ascii: "\n") { at += 1 }
        }

        /// The lines of a block scalar, which are indented deeper than the line that it begins in.
        private mutating func skipBlock() {
            let header = bytes[at...].prefix { $0 != UInt8(ascii: "\n") }
            let marks = Set("|>+-0123456789 \t\r".utf8)
            guard header.prefix(while: { $0 != UInt8(ascii: "#") }).allSatisfy(marks.contains) else { return }
            let start = bytes[..<at].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            let depth = bytes[start...].prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "-") }.count
            at += header.count
            while at < bytes.count {  // at a line end
                let next = at + 1
                let indent = bytes[min(next, bytes.count)...].prefix { $0 == UInt8(ascii: " ") }.count
                let content = next + indent
                let isBlank = content >= bytes.count || bytes[content] == UInt8(ascii: "\n")
                guard isBlank || indent > depth else { break }
                line += 1
                at = bytes[min(content, bytes.count)...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            }
            at -= 1
        }
    }
}
