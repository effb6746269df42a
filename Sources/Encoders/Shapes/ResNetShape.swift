import Layers
import Support
import TensorCore

/// CLIP's ModifiedResNet.
package struct ResNetShape: Sendable, Equatable {
    package var side: Int
    /// Blocks of the four stages.
    package var layers: [Int]
    package var width: Int
    package var heads: Int
    package var embedWidth: Int

    package var featureWidth: Int { width * 32 }
    /// Pixels of the last map.
    package var pixels: Int { (side / 32) * (side / 32) }

    init(_ json: JSON, embedWidth: Int, path: String) throws {
        let cfg = try ConfigReader(
            json, path: path, section: "vision_cfg",
            known: ["layers", "width", "head_width", "image_size", "patch_size", "output_tokens"])
        layers = json["layers"]?.array?.compactMap(\.integer) ?? []
        guard layers.count == 4, layers.allSatisfy({ (1...100).contains($0) }) else {
            throw cfg.wrong("layers", "a ResNet needs four numbers of blocks")
        }
        let size = try cfg.size("image_size", default: 224)
        guard size.height == size.width, size.height >= 32 else {
            throw cfg.wrong("image_size", "a ResNet needs a square of at least 32")
        }
        side = size.height
        width = try cfg.integer("width", default: 64)
        let headWidth = try cfg.integer("head_width", default: 64)
        heads = width * 32 / headWidth
        guard heads > 0, width * 32 % heads == 0, width % 2 == 0 else {
            throw cfg.wrong("head_width", "\(headWidth) does not divide 32 x \(width)")
        }
        self.embedWidth = embedWidth
    }
}
