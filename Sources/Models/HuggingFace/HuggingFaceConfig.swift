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
        func tower(_ name: String) throws -> Reader {
            let old = isSigLIP ? nil : config["\(name)_config_dict"].flatMap { $0.isNull ? nil : $0 }
            for (key, json) in [("\(name)_config_dict", old), ("\(name)_config", config["\(name)_config"])] {
                guard let json, !json.isNull, json.object == nil else { continue }
                throw Failure(.badData, path, "\(key): needs an object, has \(json.text())")
            }
            return Reader(
                old?.object == nil ? config["\(name)_config"] : old, path: path,
                section: old?.object == nil ? "\(name)_config" : "\(name)_config_dict")
        }
        let (image, text) = (try tower("vision"), try tower("text"))
        guard try image.integer("num_channels", 3) == 3 else {
            throw Failure(.badData, path, "\(image.section).num_channels: only 3 are built")
        }
        return isSigLIP
            ? try siglip(config, image, text, path: path) : try clip(config, image, text, path: path)
    }

    private static func clip(_ config: JSON, _ image: Reader, _ text: Reader, path: String) throws -> JSON {
        let activation = try image.activation(default: "quick_gelu")
        let textActivation = try text.activation(default: "quick_gelu")
        let width = try image.integer("hidden_size", 768)
        let heads = try image.integer("num_attention_heads", 12)
        guard heads > 0, width > 0, width % heads == 0 else {
            throw Failure(.badData, path, "\(image.section).num_attention_heads does not divide hidden_size")
        }
        var vision: [String: JSON] = [
            "image_size": image["image_size"] ?? 224, "layers": .integer(try image.integer("num_hidden_layers", 12)),
            "width": .integer(width), "head_width": .integer(width / heads),
            "patch_size": .integer(try image.integer("patch_size", 32)),
            "mlp_ratio": image.mlpRatio(width, try image.integer("intermediate_size", 3072)),
        ]
        let textWidth = try text.integer("hidden_size", 512)
        var words: [String: JSON] = [
            "context_length": .integer(try text.integer("max_position_embeddings", 77)),
            "vocab_size": .integer(try text.integer("vocab_size", 49408)), "width": .integer(textWidth),
            "heads": .integer(try text.integer("num_attention_heads", 8)),
            "layers": .integer(try text.integer("num_hidden_layers", 12)),
            "mlp_ratio": text.mlpRatio(textWidth, try text.integer("intermediate_size", 2048)),
        ]
        // With the id 2, which older files carry by mistake, transformers reads at the largest id.
        let end = try text.integer("eos_token_id", 49407)
        if try end != 2 && end != text.integer("vocab_size", 49408) - 1 {
            words["pool_type"] = "eos"
            words["eos_id"] = .integer(end)
        }
        for (reader, isImage) in [(image, true), (text, false)] {
            let epsilon = try reader.number("layer_norm_eps", 1e-5)
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
            "embed_dim": .integer(try Reader(config, path: path, section: "config").integer("projection_dim", 512)),
            "vision_cfg": .object(vision),
            "text_cfg": .object(words),
        ]
        if activation == "quick_gelu", textActivation == activation { model["quick_gelu"] = true }
        return .object(model)
    }

    private static func siglip(_ config: JSON, _ image: Reader, _ text: Reader, path: String) throws -> JSON {
        let width = try image.integer("hidden_size", 768)
        let textWidth = try text.integer("hidden_size", 768)
        let embedWidth = text["projection_size"]?.integer ?? textWidth
        guard embedWidth == width else {
            throw Failure(.badData, path, "text_config.projection_size is not the image tower's width, \(width)")
        }
        guard image["vision_use_head"]?.bool ?? true else {
            throw Failure(.badData, path, "vision_config.vision_use_head: a tower without its pooling head is not read")
        }
        let epsilons = try [image, text].map { try $0.number("layer_norm_eps", 1e-6) }
        guard epsilons == [1e-6, 1e-6] else {
            throw Failure(.badData, path, "layer_norm_eps \(epsilons) is not SigLIP's 1e-6")
        }
        let (name, changes) = try siglipTower(image, width: width)
        var words: [String: JSON] = [
            "context_length": .integer(try text.integer("max_position_embeddings", 64)),
            "vocab_size": .integer(try text.integer("vocab_size", 32000)), "width": .integer(textWidth),
            "heads": .integer(try text.integer("num_attention_heads", 12)),
            "layers": .integer(try text.integer("num_hidden_layers", 12)),
            "mlp_ratio": text.mlpRatio(textWidth, try text.integer("intermediate_size", 3072)), "no_causal_mask": true,
            "proj_bias": true, "pool_type": "last", "norm_kwargs": ["eps": 1e-6],
            "tokenizer_kwargs": ["clean": "canonicalize"],
        ]
        if try text.activation(default: "gelu_pytorch_tanh") == "tanh" { words["act_kwargs"] = ["approximate": "tanh"] }
        return [
            "embed_dim": .integer(embedWidth), "custom_text": true, "init_logit_bias": -10,
            "vision_cfg": [
                "image_size": .integer(try image.integer("image_size", 224)), "timm_model_pretrained": false,
                "timm_pool": "map", "timm_proj": "none", "timm_model_name": .string(name),
                "timm_model_kwargs": .object(changes),
            ],
            "text_cfg": .object(words),
        ]
    }

    /// The registered tower that comes nearest, and what differs from it.
    private static func siglipTower(_ image: Reader, width: Int) throws -> (name: String, changes: [String: JSON]) {
        let patch = try image.positive("patch_size", 16)
        let side = try image.integer("image_size", 224)
        let layers = try image.integer("num_hidden_layers", 12)
        let heads = try image.integer("num_attention_heads", 12)
        let mlpWidth = try image.integer("intermediate_size", 3072)
        let size: (name: String, layers: Int, heads: Int, ratio: Double) =
            switch width {
            case 1024: ("large", 24, 16, 4)
            case 1152: ("so400m", 27, 16, 3.7362)
            case 1536: ("giantopt", 40, 16, 4)
            default: ("base", 12, 12, 4)
            }
        let activation = try image.activation(default: "gelu_pytorch_tanh")
        // A registered tower's sizes; what differs stands in timm_model_kwargs.
        var changes: [String: JSON] = ["act_layer": activation == "tanh" ? "gelu_tanh" : "gelu"]
        if size.name == "base", width != 768 { changes["embed_dim"] = .integer(width) }
        if layers != size.layers { changes["depth"] = .integer(layers) }
        if heads != size.heads { changes["num_heads"] = .integer(heads) }
        if Int(Double(width) * size.ratio) != mlpWidth { changes["mlp_ratio"] = image.mlpRatio(width, mlpWidth) }
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

    /// One tower's object, transformers' defaults where a key is left out.
    private struct Reader {
        let json: JSON?
        let path: String
        let section: String

        init(_ json: JSON?, path: String, section: String) {
            (self.json, self.path, self.section) = (json, path, section)
        }

        subscript(key: String) -> JSON? { json?[key].flatMap { $0.isNull ? nil : $0 } }
        func integer(_ key: String, _ fallback: Int) throws -> Int {
            guard let value = self[key] else { return fallback }
            guard let number = value.integer, (-1...1 << 32).contains(number) else {
                throw Failure(.badData, path, "\(section).\(key): needs a count, has \(value.text())")
            }
            return number
        }

        func number(_ key: String, _ fallback: Double) throws -> Double {
            guard let value = self[key] else { return fallback }
            guard let number = value.number, number.isFinite else {
                throw Failure(.badData, path, "\(section).\(key): needs a number, has \(value.text())")
            }
            return number
        }

        func positive(_ key: String, _ fallback: Int) throws -> Int {
            let value = try integer(key, fallback)
            guard value > 0 else { throw Failure(.badData, path, "\(section).\(key): \(value) is not positive") }
            return value
        }

        func activation(default fallback: String) throws -> String {
            if let given = self["hidden_act"], given.string == nil {
                throw Failure(.badData, path, "\(section).hidden_act: needs a text, has \(given.text())")
            }
            switch self["hidden_act"]?.string ?? fallback {
            case "quick_gelu": return "quick_gelu"
            case "gelu": return "gelu"
            case "gelu_pytorch_tanh", "gelu_new": return "tanh"
            case let other: throw Failure(.badData, path, "\(section).hidden_act: \(other) is not supported")
            }
        }

        /// The ratio that gives this width back when multiplied and cut.
        func mlpRatio(_ width: Int, _ mlpWidth: Int) -> JSON {
            // What is out of range is refused when it is read.
            guard width > 0, (1...1 << 20).contains(mlpWidth), width < 1 << 20 else { return .integer(-1) }
            var ratio = Double(mlpWidth) / Double(width)
            while Int(Double(width) * ratio) < mlpWidth { ratio = ratio.nextUp }
            return .number(ratio)
        }
    }
}
