package import Foundation

/// A JSON value. Objects are written with sorted keys, so equal values give equal bytes.
package enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    /// What Python's json reads: also NaN and infinities, lone surrogates (as U+FFFD), a byte order mark.
    ///
    /// - Throws: `Failure(.badData)` naming `path`, line and column.
    package init(parsing data: Data, path: String) throws {
        self = try data.withUnsafeBytes { bytes in
            var parser = JSONParser(bytes.bindMemory(to: UInt8.self))
            do throws(JSONParser.Fault) { return try parser.document() } catch {
                let place = parser.place
                throw Failure(
                    .badData, path, "not valid JSON: \(error.problem) at line \(place.line), column \(place.column)")
            }
        }
    }

    package init(file path: String) throws { try self.init(parsing: readFile(path), path: path) }

    /// An object with one member changed or added; anything else becomes an object of that member.
    package func setting(_ key: String, to value: JSON) -> JSON {
        var members = object ?? [:]
        members[key] = value
        return .object(members)
    }

    /// An object without some of its members.
    package func without(_ keys: String...) -> JSON {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { !keys.contains($0.key) })
    }

    package subscript(key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }
    package var isNull: Bool { self == .null }

    /// Whole numbers only.
    package var integer: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// Sorted keys; `indent` nil gives one line.
    package func text(indent: Int? = nil) -> String {
        var out = ""
        write(into: &out, indent: indent, level: 0)
        return out
    }

    private func write(into out: inout String, indent: Int?, level: Int) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .integer(let value): out += "\(value)"
        case .number(let value): out += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.quote(value, into: &out)
        case .array(let values):
            Self.list(values, ("[", "]"), into: &out, indent, level) { value, out in
                value.write(into: &out, indent: indent, level: level + 1)
            }
        case .object(let members):
            Self.list(members.sorted { $0.key < $1.key }, ("{", "}"), into: &out, indent, level) { member, out in
                Self.quote(member.key, into: &out)
                out += ": "
                member.value.write(into: &out, indent: indent, level: level + 1)
            }
        }
    }

    private static func list<Item>(
        _ items: [Item], _ brackets: (open: String, close: String), into out: inout String, _ indent: Int?,
        _ level: Int,
        _ each: (Item, inout String) -> Void
    ) {
        out += brackets.open
        for (index, item) in items.enumerated() {
            if index > 0 { out += indent == nil ? ", " : "," }
            if let indent { out += "\n" + String(repeating: " ", count: indent * (level + 1)) }
            each(item, &out)
        }
        if let indent, !items.isEmpty { out += "\n" + String(repeating: " ", count: indent * level) }
        out += brackets.close
    }

    private static func quote(_ text: String, into out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    out += String(format: "\\u%04x", scalar.value)
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        out += "\""
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}
