/// A value of a file that is read strictly, whether YAML or JSON.
package protocol StrictValue {
    /// As good as left out.
    var isNull: Bool { get }
    var string: String? { get }
    /// Whole numbers only.
    var integer: Int? { get }
    var number: Double? { get }
    var bool: Bool? { get }
    var items: [any StrictValue]? { get }
    /// A mapping's, in the file's order where it has one.
    var members: [StrictMember]? { get }
    /// Where it begins; nil where that isn't kept.
    var line: Int? { get }
    /// For messages.
    var shown: String { get }
}

package struct StrictMember {
    /// "?" for a key that is no text.
    package let name: String
    package let value: any StrictValue
    package let line: Int?

    package init(name: String, value: any StrictValue, line: Int?) {
        (self.name, self.value, self.line) = (name, value, line)
    }
}

extension JSON: StrictValue {
    package var items: [any StrictValue]? { array }
    package var members: [StrictMember]? {
        object?.sorted { $0.key < $1.key }.map { StrictMember(name: $0.key, value: $0.value, line: nil) }
    }
    package var line: Int? { nil }
    package var shown: String { text() }
}
