import Weights

package enum FiniteCheck {
    /// - Throws: `Failure` naming the first tensor of a weight file that is not finite
    package static func weights(_ path: String) throws {
        let file = try Safetensors(path)
        for name in file.names { _ = try file.finiteFloats(name) }
    }
}
