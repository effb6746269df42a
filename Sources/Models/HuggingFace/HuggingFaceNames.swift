/// Where a parameter of ours lies in a transformers file.
enum Counterpart: Equatable {
    case same(String)
    /// Stored the other way round.
    case transposed(String)
    /// Ours is these, one under the other.
    case stacked([String])
    /// Ours is rows of theirs, in thirds.
    case thirds(String, Range<Int>)

    var names: [String] {
        switch self {
        case .same(let name), .transposed(let name), .thirds(let name, _): [name]
        case .stacked(let names): names
        }
    }

    /// - Parameter name: open_clip's
    /// - Returns: nil for what CLIPModel and SiglipModel have no place for
    init?(_ name: String, isSigLIP: Bool) {
        let text = name.hasPrefix("text.") ? String(name.dropFirst(5)) : name
        if let fixed = (isSigLIP ? Self.siglip : Self.clip)[name.hasPrefix("visual.") ? name : text] {
            self = fixed
            return
        }
        let words = name.split(separator: ".").map(String.init)
        let tower = words[0] == "visual" ? "vision_model" : "text_model"
        guard let at = words.firstIndex(where: { $0 == "resblocks" || $0 == "blocks" }), at + 2 < words.count else {
            return nil
        }
        let layer = "\(tower).encoder.layers.\(words[at + 1])."
        let rest = words[(at + 2)...].joined(separator: ".")
        for (prefix, theirs) in Self.layers where rest.hasPrefix(prefix) {
            self = .same(layer + theirs + rest.dropFirst(prefix.count))
            return
        }
        for (ours, kind) in [
            ("attn.in_proj_weight", "weight"), ("attn.qkv.weight", "weight"), ("attn.in_proj_bias", "bias"),
            ("attn.qkv.bias", "bias"),
        ] where rest == ours {
            self = .stacked(["q", "k", "v"].map { "\(layer)self_attn.\($0)_proj.\(kind)" })
            return
        }
        return nil
    }

    private static let layers = [
        ("ln_1.", "layer_norm1."), ("ln_2.", "layer_norm2."), ("mlp.c_fc.", "mlp.fc1."), ("mlp.c_proj.", "mlp.fc2."),
        ("attn.out_proj.", "self_attn.out_proj."), ("norm1.", "layer_norm1."), ("norm2.", "layer_norm2."),
        ("mlp.fc1.", "mlp.fc1."), ("mlp.fc2.", "mlp.fc2."), ("attn.proj.", "self_attn.out_proj."),
    ]

    private static let common: [String: Counterpart] = [
        "logit_scale": .same("logit_scale"),
        "token_embedding.weight": .same("text_model.embeddings.token_embedding.weight"),
        "positional_embedding": .same("text_model.embeddings.position_embedding.weight"),
        "ln_final.weight": .same("text_model.final_layer_norm.weight"),
        "ln_final.bias": .same("text_model.final_layer_norm.bias"),
    ]

    private static let clip: [String: Counterpart] = common.merging([
        "text_projection": .transposed("text_projection.weight"),
        "visual.proj": .transposed("visual_projection.weight"),
        "visual.class_embedding": .same("vision_model.embeddings.class_embedding"),
        "visual.conv1.weight": .same("vision_model.embeddings.patch_embedding.weight"),
        "visual.positional_embedding": .same("vision_model.embeddings.position_embedding.weight"),
        // transformers' own spelling
        "visual.ln_pre.weight": .same("vision_model.pre_layrnorm.weight"),
        "visual.ln_pre.bias": .same("vision_model.pre_layrnorm.bias"),
        "visual.ln_post.weight": .same("vision_model.post_layernorm.weight"),
        "visual.ln_post.bias": .same("vision_model.post_layernorm.bias"),
    ]) { $1 }

    private static let siglip: [String: Counterpart] = common.merging([
        "logit_bias": .same("logit_bias"),
        "text_projection.weight": .same("text_model.head.weight"),
        "text_projection.bias": .same("text_model.head.bias"),
        "visual.trunk.patch_embed.proj.weight": .same("vision_model.embeddings.patch_embedding.weight"),
        "visual.trunk.patch_embed.proj.bias": .same("vision_model.embeddings.patch_embedding.bias"),
        "visual.trunk.pos_embed": .same("vision_model.embeddings.position_embedding.weight"),
        "visual.trunk.norm.weight": .same("vision_model.post_layernorm.weight"),
        "visual.trunk.norm.bias": .same("vision_model.post_layernorm.bias"),
        "visual.trunk.attn_pool.latent": .same("vision_model.head.probe"),
        "visual.trunk.attn_pool.q.weight": .thirds("vision_model.head.attention.in_proj_weight", 0..<1),
        "visual.trunk.attn_pool.q.bias": .thirds("vision_model.head.attention.in_proj_bias", 0..<1),
        "visual.trunk.attn_pool.kv.weight": .thirds("vision_model.head.attention.in_proj_weight", 1..<3),
        "visual.trunk.attn_pool.kv.bias": .thirds("vision_model.head.attention.in_proj_bias", 1..<3),
        "visual.trunk.attn_pool.proj.weight": .same("vision_model.head.attention.out_proj.weight"),
        "visual.trunk.attn_pool.proj.bias": .same("vision_model.head.attention.out_proj.bias"),
        "visual.trunk.attn_pool.norm.weight": .same("vision_model.head.layernorm.weight"),
        "visual.trunk.attn_pool.norm.bias": .same("vision_model.head.layernorm.bias"),
        "visual.trunk.attn_pool.mlp.fc1.weight": .same("vision_model.head.mlp.fc1.weight"),
        "visual.trunk.attn_pool.mlp.fc1.bias": .same("vision_model.head.mlp.fc1.bias"),
        "visual.trunk.attn_pool.mlp.fc2.weight": .same("vision_model.head.mlp.fc2.weight"),
        "visual.trunk.attn_pool.mlp.fc2.bias": .same("vision_model.head.mlp.fc2.bias"),
    ]) { $1 }
}
