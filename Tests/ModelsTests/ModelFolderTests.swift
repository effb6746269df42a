import Doctor
import Encoders
import Evaluation
import Foundation
import Images
import Layers
import Learning
import Models
import Objectives
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training
import Weights

@Suite struct ModelFolderTests {
    @Test(
        "A model goes to transformers' form and back with every bit", arguments: [TinyModels.clip, TinyModels.siglip])
    func huggingFace(_ config: JSON) throws {
        let original = try TinyModels.model(config)
        try Places.withFolder { folder in
            try HuggingFaceFolder.write(original, preprocess: [:], to: folder)
            let back = try DualEncoder.read(folder, on: original.device).model
            let values = Dictionary(uniqueKeysWithValues: back.state.map { ($0.name, $0.value.floats) })
            #expect(original.state.count == back.state.count)
            for parameter in original.state { #expect(values[parameter.name] == parameter.value.floats) }
            try Places.withFolder { ours in
                try ModelFolder.write(original, preprocess: [:], to: ours)
                let comparison = try ModelComparison(ours, against: folder, on: original.device).run()
                #expect(!comparison.hasFailed)
            }
        }
    }

    private func read(_ folder: String, _ processor: JSON, nested: Bool = false) throws -> JSON {
        for name in ["preprocessor_config.json", "processor_config.json"] { try Files.remove(folder + "/" + name) }
        let file = nested ? "processor_config.json" : "preprocessor_config.json"
        try AtomicFile.write((nested ? ["image_processor": processor] : processor).text(), to: folder + "/" + file)
        return try HuggingFaceFolder(folder).preprocess
    }

    @Test("transformers' image processors give the same pixels, or are refused by the key that would change them")
    func processors() throws {
        try Places.withFolder { folder in
            try HuggingFaceFolder.write(TinyModels.model(TinyModels.clip), preprocess: [:], to: folder)
            let plain = try read(folder, ["size": 16, "crop_size": ["height": 16, "width": 16]])
            #expect(plain["resize_mode"] == "shortest" && plain["interpolation"] == "bicubic")
            let nested = try read(
                folder, ["size": ["height": 16, "width": 16], "resample": 2, "do_center_crop": false], nested: true)
            #expect(nested["resize_mode"] == "squash" && nested["interpolation"] == "bilinear")
            let bare = try read(folder, ["size": 16, "crop_size": 16, "do_normalize": false])
            #expect(bare["mean"] == [0.0, 0.0, 0.0] && bare["std"] == [1.0, 1.0, 1.0])
            let refusals: [(String, JSON)] = [
                ("size", 20), ("crop_size", 12), ("do_rescale", false), ("do_resize", false), ("resample", 1),
                ("rescale_factor", 1.0), ("do_center_crop", false), ("image_processor_type", "BitImageProcessor"),
                ("image_mean", [0.5]), ("max_num_patches", 256),
            ]
            for (key, value) in refusals {
                let settings = (["size": 16, "crop_size": 16] as JSON).setting(key, to: value)
                let failure = #expect(throws: Failure.self, "\(key)") { try read(folder, settings) }
                #expect(failure?.problem.hasPrefix(key) == true, "\(key): \(failure?.problem ?? "")")
            }
        }
    }

    @Test("Weights load from pieces, under other names, with a wrapper's prefix, and a bias that they lack starts at 0")
    func elsewhere() throws {
        let original = try TinyModels.model(TinyModels.siglip)
        try Places.withFolder { folder in
            try ModelFolder.write(original, preprocess: [:], to: folder)
            let whole = folder + "/" + ModelFolder.weightsName
            let names = original.state.map(\.name)
            let values = Dictionary(uniqueKeysWithValues: original.state.map { ($0.name, $0.value) })
            func write(_ names: [String], to file: String, prefix: String = "") throws {
                try Safetensors.write(
                    names.map { FileTensor(prefix + $0, values[$0]!.floats, shape: values[$0]!.shape) }, to: file)
            }
            func isSame() throws -> Bool {
                let read = try ModelFolder(folder).load(on: original.device)
                return read.state.allSatisfy {
                    $0.value.floats == ($0.name == "logit_bias" ? [0] : values[$0.name]!.floats)
                }
            }
            let unbiased = names.filter { $0 != "logit_bias" }
            try write(unbiased, to: whole, prefix: "module.")
            #expect(try isSame())
            try Files.remove(whole)
            try write(Array(unbiased.prefix(3)), to: folder + "/one.safetensors")
            try write(Array(unbiased.dropFirst(3)), to: folder + "/two.safetensors")
            let map = unbiased.enumerated().map { "\"\($1)\": \"\($0 < 3 ? "one" : "two").safetensors\"" }
            let index = folder + "/model.safetensors.index.json"
            try AtomicFile.write("{\"weight_map\": {\(map.joined(separator: ", "))}}", to: index)
            #expect(try isSame())
            try AtomicFile.write("{\"weight_map\": {\"a\": \"../one.safetensors\"}}", to: index)
            #expect(throws: Failure.self) { try isSame() }
            for file in [index, folder + "/one.safetensors", folder + "/two.safetensors"] { try Files.remove(file) }
            try AtomicFile.write("x", to: folder + "/open_clip_pytorch_model.bin")
            let pickled = #expect(throws: Failure.self) { try isSame() }
            #expect(pickled?.remedy.contains("torch.load") == true)
        }
    }

    @Test("A model whose tokenizer is not known encodes images, and refuses texts")
    func tokenizers() throws {
        try Places.withFolder { folder in
            let config = TinyModels.clip.setting(
                "text_cfg", to: (TinyModels.clip["text_cfg"] ?? .null).setting("vocab_size", to: 49500))
            try ModelFolder.write(TinyModels.model(config), preprocess: [:], to: folder)
            let loaded = try Model(folder, on: CPUDevice())
            let failure = #expect(throws: Failure.self) { try loaded.encode(texts: ["a"]) }
            #expect(failure?.problem.contains("vocab_size of 49500") == true)
            let pixels = PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: 7, count: 768))
            #expect(try loaded.encode(images: 1) { _ in pixels }.count == 12)
            try AtomicFile.write("{\"tokenizer_class\": \"GemmaTokenizer\"}", to: folder + "/tokenizer_config.json")
            let named = #expect(throws: Failure.self) { try Model(folder, on: CPUDevice()).encode(texts: ["a"]) }
            #expect(named?.problem.contains("GemmaTokenizer") == true)
        }
    }

    @Test("Towers that transformers has no form for are refused by name")
    func refused() throws {
        let original = try TinyModels.model(TinyModels.resNet)
        try Places.withFolder { folder in
            let failure = #expect(throws: Failure.self) {
                try HuggingFaceFolder.write(original, preprocess: [:], to: folder)
            }
            #expect(failure?.problem == "CLIPModel and SiglipModel have no place for an image tower of another kind")
        }
    }

    @Test("Resizing keeps everything but positions, and positions of the same size")
    func resizing() throws {
        let original = try TinyModels.model(TinyModels.clip)
        let larger = try original.resized(imageSize: 32, contextLength: 12, path: "model")
        #expect(larger.blueprint.vision.height == 32)
        let old = Dictionary(uniqueKeysWithValues: original.state.map { ($0.name, $0.value) })
        for parameter in larger.state {
            if parameter.name.hasSuffix("positional_embedding") {
                #expect(parameter.value.shape != old[parameter.name]!.shape)
            } else {
                #expect(parameter.value.floats == old[parameter.name]!.floats)
            }
        }
        let flat = [Float](repeating: 2.5, count: 3 * 17)
        #expect(PositionEmbedding.resized(flat, width: 3, prefix: 1, toHeight: 7, width: 5)?.count == 3 * 36)
        let constant = PositionEmbedding.resized(flat, width: 3, prefix: 1, toHeight: 7, width: 5) ?? []
        #expect(constant.allSatisfy { abs($0 - 2.5) < 1e-6 })
    }
}
