package import Encoders
import Layers
import Support
import TensorCore

extension DualEncoder {
    /// The same model for images of another size or captions of another length: position embeddings resized,
    /// everything else as it is.
    ///
    /// - Throws: `Failure(.badData)` for towers whose positions are no square grid.
    package func resized(imageSize: Int?, contextLength: Int?, path: String) throws -> DualEncoder {
        var config = blueprint.config
        if let imageSize {
            var vision = (config["vision_cfg"] ?? .null).setting("image_size", to: .integer(imageSize))
            if let kwargs = vision["timm_model_kwargs"], kwargs["img_size"] != nil {
                vision = vision.setting("timm_model_kwargs", to: kwargs.setting("img_size", to: .integer(imageSize)))
            }
            config = config.setting("vision_cfg", to: vision)
        }
        if let contextLength {
            let text = (config["text_cfg"] ?? .null).setting("context_length", to: .integer(contextLength))
            config = config.setting("text_cfg", to: text)
        }
        let target = try Blueprint(config, path: path)
        return try DualEncoder(
            ResizedParameters(
                old: Dictionary(uniqueKeysWithValues: state.map { ($0.name, $0.value) }), vision: target.vision,
                path: path),
            target)
    }
}

/// A model's own tensors, positions resized where another shape is asked for.
private struct ResizedParameters: ParameterSource {
    let old: [String: Tensor]
    let vision: ImageShape
    let path: String

    func parameter(_ name: String, _ shape: [Int], _ initial: Initial) throws -> Parameter {
        guard let value = old[name] else { throw Failure(.ourFault, path, "\(name) is no tensor of the model") }
        guard value.shape != shape else { return Parameter(name: name, value: value) }
        let width = shape[shape.count - 1]
        let values: [Float]?
        if name.hasPrefix("visual.") {
            let rows = shape[shape.count - 2]
            let (height, columns) = grid
            values = PositionEmbedding.resized(
                value.floats, width: width, prefix: rows - height * columns, toHeight: height, width: columns)
        } else {
            values = PositionEmbedding.resized(value.floats, width: width, toRows: shape[0])
        }
        guard let values, values.count == shape.reduce(1, *) else {
            throw Failure(.badData, path, "\(name) of shape \(value.shape) cannot be resized to \(shape)")
        }
        return Parameter(name: name, value: value.device.tensor(values, shape: shape))
    }

    private var grid: (height: Int, width: Int) {
        switch vision {
        case .transformer(let shape): (shape.height / shape.patch, shape.width / shape.patch)
        case .resNet(let shape): (shape.side / 32, shape.side / 32)
        case .vitamin(let shape): ((shape.height + 15) / 16, (shape.width + 15) / 16)
        }
    }
}
