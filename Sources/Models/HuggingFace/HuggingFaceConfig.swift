import TensorCore
import Encoders
import Layers
import Support

/// transformers' `config.json` of a CLIPModel or SiglipModel, and open_clip's `model_cfg` for the same sizes.
enum HuggingFaceConfig {
    static func isSigLIP(_ config: JSON, path: String) throws -> Bool {
        switch config["model_type"]?.string {
        case "clip": return false
        case "siglip": return true
        case let type:
            throw Failure(
                .badData, path, "model_type \(type ?? "is missing") is not one this version reads (clip, siglip)")
        }
    }

    /// - Throws: `Failure(.badData)` naming the key that does not fit.
    static func modelConfig(_ config: JSON, path: String) throws -> JSON {
        let isSigLIP = try isSigLIP(config, path: path)
        // transformers: sizes given as *_config_dict, as old files have them, count before those in *_config.
        func tower(_ name: String) throws -> Section {
            for key in isSigLIP ? ["\(name)_config"] : ["\(name)_config_dict", "\(name)_config"] {
                guard let json = config[key], !json.isNull else { continue }
                return try Section(json, path: path, name: key)
            }
            return try Section(JSON.object([:]), path: path, name: "\(name)_config")
        }
        let (image, text) = (try tower("vision"), try tower("text"))
        guard try image.integer("num_channels", default: 3) == 3 else {
            throw image.wrong("num_channels", "only 3 are built")
        }
        return isSigLIP
            ? try siglip(config, image, text, path: path) : try clip(config, image, text, path: path)
    }

    private static func clip(_ config: JSON, _ image: Section, _ text: Section, path: String) throws -> JSON {
        let activation = try Self.activation(image, default: "quick_gelu")
        let textActivation = try Self.activation(text, default: "quick_gelu")
        let width = try image.integer("hidden_size", default: 768)
        let heads = try image.integer("num_attention_heads", default: 12)
        guard heads > 0, width > 0, width % heads == 0 else {
            throw image.wrong("num_attention_heads", "\(heads) does not divide hidden_size")
        }
        var vision: [String: JSON] = [
            "image_size": .integer(try image.integer("image_size", default: 224)),
            "layers": .integer(try image.integer("num_hidden_layers", default: 12)),
            "width": .integer(width), "head_width": .integer(width / heads),
            "patch_size": .integer(try image.integer("patch_size", default: 32)),
            "mlp_ratio": try mlpRatio(width, image.integer("intermediate_size", default: 3072)),
        ]
        let textWidth = try text.integer("hidden_size", default: 512)
        var words: [String: JSON] = [
            "context_length": .integer(try text.integer("max_position_embeddings", default: 77)),
            "vocab_size": .integer(try text.integer("vocab_size", default: 49408)), "width": .integer(textWidth),
            "heads": .integer(try text.integer("num_attention_heads", default: 8)),
            "layers": .integer(try text.integer("num_hidden_layers", default: 12)),
            "mlp_ratio": try mlpRatio(textWidth, text.integer("intermediate_size", default: 2048)),
        ]
        // With the id 2, which older files carry by mistake, transformers reads at the largest id.
        let end = try text.integer("eos_token_id", default: 49407)
        if try end != 2 && end != text.integer("vocab_size", default: 49408) - 1 {
            words["pool_type"] = "eos"
            words["eos_id"] = .integer(end)
        }
        for (reader, isImage) in [(image, true), (text, false)] {
            let epsilon = try reader.number("layer_norm_eps", default: 1e-5)
            guard epsilon != 1e-5 else { continue }
            if isImage {
                vision["norm_kwargs"] = ["eps": .number(epsilon)]
            } else {
                words["norm_kwargs"] = ["eps": .number(epsilon)]
            }
        }
        if activation != textActivation {
            vision["hidden_act"] = .string(activation == "tanh" ? "gelu_pytorch_tanh" : activation)
            words["hidden_act"] = .string(textActivation == "tanh" ? "gelu_pytorch_tanh" : textActivation)
        } else if activation == "tanh" {
            vision["act_kwargs"] = ["approximate": "tanh"]
            words["act_kwargs"] = ["approximate": "tanh"]
        }
        var model: [String: JSON] = [
            "embed_dim": .integer(try Section(config, path: path).integer("projection_dim", default: 512)),
            "vision_cfg": .object(vision),
            "text_cfg": .object(words),
        ]
        if activation == "quick_gelu", textActivation == activation { model["quick_gelu"] = true }
        return .object(model)
    }

    private static func siglip(_ config: JSON, _ image: Section, _ text: Section, path: String) throws -> JSON {
        let width = try image.integer("hidden_size", default: 768)
        let textWidth = try text.integer("hidden_size", default: 768)
        let embedWidth = try text.integer("projection_size", default: textWidth)
        guard embedWidth == width else {
            throw text.wrong("projection_size", "is not the image tower's width, \(width)")
        }
        guard try image.bool("vision_use_head", default: true) else {
            throw image.wrong("vision_use_head", "a tower without its pooling head is not read")
        }
        let epsilons = try [image, text].map { try $0.number("layer_norm_eps", default: 1e-6) }
        guard epsilons == [1e-6, 1e-6] else {
            throw Failure(.badData, path, "layer_norm_eps \(epsilons) is not SigLIP's 1e-6")
        }
        let (name, changes) = try siglipTower(image, width: width)
        var words: [String: JSON] = [
            "context_length": .integer(try text.integer("max_position_embeddings", default: 64)),
            "vocab_size": .integer(try text.integer("vocab_size", default: 32000)), "width": .integer(textWidth),
            "heads": .integer(try text.integer("num_attention_heads", default: 12)),
            "layers": .integer(try text.integer("num_hidden_layers", default: 12)),
            "mlp_ratio": try mlpRatio(textWidth, text.integer("intermediate_size", default: 3072)),
            "no_causal_mask": true,
            "proj_bias": true, "pool_type": "last", "norm_kwargs": ["eps": 1e-6],
            "tokenizer_kwargs": ["clean": "canonicalize"],
        ]
        if try activation(text, default: "gelu_pytorch_tanh") == "tanh" {
            words["act_kwargs"] = ["approximate": "tanh"]
        }
        return [
            "embed_dim": .integer(embedWidth), "custom_text": true, "init_logit_bias": -10,
            "vision_cfg": [
                "image_size": .integer(try image.integer("image_size", default: 224)), "timm_model_pretrained": false,
                "timm_pool": "map", "timm_proj": "none", "timm_model_name": .string(name),
                "timm_model_kwargs": .object(changes),
            ],
            "text_cfg": .object(words),
        ]
    }

    /// The registered tower that comes nearest, and what differs from it.
    private static func siglipTower(_ image: Section, width: Int) throws -> (name: String, changes: [String: JSON]) {
        let patch = try image.integer("patch_size", default: 16, in: 1...1 << 17)
        let side = try image.integer("image_size", default: 224)
        let layers = try image.integer("num_hidden_layers", default: 12)
        let heads = try image.integer("num_attention_heads", default: 12)
        let mlpWidth = try image.integer("intermediate_size", default: 3072)
        let size: (name: String, layers: Int, heads: Int, ratio: Double) =
            switch width {
            case 1024: ("large", 24, 16, 4)
            case 1152: ("so400m", 27, 16, 3.7362)
            case 1536: ("giantopt", 40, 16, 4)
            default: ("base", 12, 12, 4)
            }
        let activation = try Self.activation(image, default: "gelu_pytorch_tanh")
        // A registered tower's sizes; what differs stands in timm_model_kwargs.
        var changes: [String: JSON] = ["act_layer": activation == "tanh" ? "gelu_tanh" : "gelu"]
        if size.name == "base", width != 768 { changes["embed_dim"] = .integer(width) }
        if layers != size.layers { changes["depth"] = .integer(layers) }
        if heads != size.heads { changes["num_heads"] = .integer(heads) }
        if Int(Double(width) * size.ratio) != mlpWidth { changes["mlp_ratio"] = mlpRatio(width, mlpWidth) }
        let registeredPatch = size.name == "so400m" && patch != 16 ? 14 : 16
        if patch != registeredPatch { changes["patch_size"] = .integer(patch) }
        // timm knows these sides by name; image_size says the true one.
        let sides =
            switch (size.name, registeredPatch) {
            case ("base", _): [224, 256, 384, 512]
            case ("so400m", 14): [224, 378, 384]
            case ("giantopt", _): [256, 384]
            default: [256, 384, 512]
            }
        let registeredSide = sides.contains(side) ? side : sides[0]
        return ("vit_\(size.name)_patch\(registeredPatch)_siglip_\(registeredSide)", changes)
    }

    private static func sizes(_ blocks: TransformerShape) -> [String: JSON] {
        let activation =
            switch blocks.activation {
            case .quickGELU: "quick_gelu"
            case .gelu: "gelu"
            case .geluTanh: "gelu_pytorch_tanh"
            case .relu: "relu"
            case .tanh: "tanh"
            }
        return [
            "hidden_size": .integer(blocks.width), "intermediate_size": .integer(blocks.mlpWidth),
            "num_attention_heads": .integer(blocks.heads), "num_hidden_layers": .integer(blocks.layers),
            "hidden_act": .string(activation), "layer_norm_eps": .number(blocks.epsilon == 1e-6 ? 1e-6 : 1e-5),
        ]
    }

    /// transformers' configuration of a model of ours.
    static func config(of blueprint: Blueprint, path: String) throws -> (config: JSON, isSigLIP: Bool) {
        func refused(_ problem: String) -> Failure {
            Failure(.usage, path, "CLIPModel and SiglipModel have no place for \(problem)")
        }
        guard case .transformer(let image) = blueprint.vision else { throw refused("an image tower of another kind") }
        let text = blueprint.text
        guard text.sentence == nil else { throw refused("a BERT encoder as text tower") }
        guard [1e-5, 1e-6].contains(image.blocks.epsilon), [1e-5, 1e-6].contains(text.blocks.epsilon) else {
            throw refused("a layer-norm epsilon other than 1e-5 and 1e-6")
        }
        guard image.height == image.width else { throw refused("images that are not square") }
        guard text.classToken == nil else { throw refused("a text class token") }
        let isSigLIP = image.pooling == .attention
        var vision = sizes(image.blocks)
        vision["image_size"] = .integer(image.height)
        vision["patch_size"] = .integer(image.patch)
        vision["model_type"] = isSigLIP ? "siglip_vision_model" : "clip_vision_model"
        var words = sizes(text.blocks)
        words["max_position_embeddings"] = .integer(text.contextLength)
        words["vocab_size"] = .integer(text.vocabulary)
        words["model_type"] = isSigLIP ? "siglip_text_model" : "clip_text_model"
        if isSigLIP {
            guard image.projection == .none, text.projection == .linear, !text.isCausal, text.pooling == .last,
                blueprint.initialLogitBias != nil
            else { throw refused("these poolings or projections, or a model without a logit bias") }
            words["projection_size"] = .integer(blueprint.embedWidth)
            return (
                [
                    "architectures": ["SiglipModel"], "model_type": "siglip", "vision_config": .object(vision),
                    "text_config": .object(words),
                ], true
            )
        }
        guard image.pooling == .classToken, image.hasNormBefore, text.isCausal, text.projection == .matrix,
            blueprint.initialLogitBias == nil
        else { throw refused("these poolings or projections, or a logit bias in a CLIP model") }
        switch text.pooling {
        case .argmax: words["eos_token_id"] = 2  // for which transformers reads at the largest id
        case .eos(let id): words["eos_token_id"] = .integer(id)
        case .first, .last: throw refused("texts read at the first or the last token")
        }
        return (
            [
                "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": .integer(blueprint.embedWidth),
                "logit_scale_init_value": .number(Double(blueprint.initialLogScale)), "vision_config": .object(vision),
                "text_config": .object(words),
            ], false
        )
    }

    private static func activation(_ tower: Section, default fallback: String) throws -> String {
        try tower.choice(
            "hidden_act", default: fallback,
            ["quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_pytorch_tanh": "tanh", "gelu_new": "tanh"])
    }

    /// The ratio that gives this width back when multiplied and cut.
    private static func mlpRatio(_ width: Int, _ mlpWidth: Int) -> JSON {
        // What is out of range is refused when it is read.
        guard width > 0, (1...1 << 20).contains(mlpWidth), width < 1 << 20 else { return .integer(-1) }
        var ratio = Double(mlpWidth) / Double(width)
        while Int(Double(width) * ratio) < mlpWidth { ratio = ratio.nextUp }
        return .number(ratio)
    }
}
