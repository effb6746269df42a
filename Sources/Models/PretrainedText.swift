import Encoders
package import Layers
package import TensorCore

/// New parameters, but for the sentence encoder of the text tower, which comes from its folder.
package struct PretrainedText<Rest: ParameterSource>: ParameterSource {
    private let rest: Rest
    private let pretrained: FileParameters

    package init(_ rest: Rest, _ folder: SentenceFolder, on device: any Device) throws {
        self.rest = rest
        pretrained = try folder.source(on: device)
    }

    /// The names that it gives.
    package static var prefix: String { "text.transformer." }

    package func parameter(_ name: String, _ shape: [Int], _ initial: Initial) throws -> Parameter {
        guard name.hasPrefix(Self.prefix) else { return try rest.parameter(name, shape, initial) }
        let found = try pretrained.parameter(String(name.dropFirst(Self.prefix.count)), shape, initial)
        return Parameter(name: name, value: found.value)
    }
}
