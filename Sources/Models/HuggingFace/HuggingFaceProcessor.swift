import Foundation
import Support

/// transformers' settings of an image processor, as open_clip's `preprocess_cfg` for the same pixels. What makes other
/// pixels and cannot be had is refused by its key.
struct HuggingFaceProcessor {
    /// `preprocess_cfg`
    let preprocess: JSON
    let notes: [String]

    private static let benign: Set<String> = [
        "image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb", "_valid_processor_keys",
        "data_format", "input_data_format", "device", "default_to_square", "disable_grouping", "return_tensors",
        "size_divisor", "auto_map", "image_seq_length",
    ]
    private static let read: Set<String> = [
        "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
        "image_mean", "image_std",
    ]

    /// - Throws: `Failure(.badData)` naming file and key
    init(folder: String, side: (height: Int, width: Int), isSigLIP: Bool) throws {
        let nested = folder + "/processor_config.json"
        let own = folder + "/" + HuggingFaceFolder.preprocessName
        let whole = Files.exists(nested) ? try JSON(file: nested) : nil
        let inside = whole?["image_processor"].flatMap { $0.isNull ? nil : $0 }
        if let whole, inside?.object == nil, inside != nil || !Files.exists(own) {
            throw Failure(
                .badData, nested,
                "image_processor: "
                    + (inside.map { "\($0.text()) is no object" } ?? "is missing; there are "
                        + (whole.object ?? [:]).keys.sorted().joined(separator: ", ")))
        }
        if let inside {  // transformers 5 writes them here, and looks here first
            self = try HuggingFaceProcessor(inside, path: nested, side: side, isSigLIP: isSigLIP)
        } else if Files.exists(own) {
            self = try HuggingFaceProcessor(JSON(file: own), path: own, side: side, isSigLIP: isSigLIP)
        } else {
            let family = isSigLIP ? "SigLIP" : "CLIP"
            preprocess = Self.standard(isSigLIP: isSigLIP, side: side.height)
            notes = [
                "\(folder): no \(HuggingFaceFolder.preprocessName) and no processor_config.json; \(family)'s own "
                    + "preprocessing at \(side.height) pixels is taken"
            ]
        }
    }

    private static let half = [0.5, 0.5, 0.5]
    private static let clipMean = [0.48145466, 0.4578275, 0.40821073]
    private static let clipDeviation = [0.26862954, 0.26130258, 0.27577711]

    private static func numbers(_ values: [Double]) -> JSON { .array(values.map { .number($0) }) }

    private static func standard(isSigLIP: Bool, side: Int) -> JSON {
        [
            "size": .integer(side), "mode": "RGB", "mean": numbers(isSigLIP ? half : clipMean),
            "std": numbers(isSigLIP ? half : clipDeviation), "interpolation": "bicubic",
            "resize_mode": isSigLIP ? "squash" : "shortest", "fill_color": 0,
        ]
    }

    private init(_ json: JSON, path: String, side: (height: Int, width: Int), isSigLIP modelIsSigLIP: Bool) throws {
        let settings = try ProcessorSettings(json, path: path)
        try settings.requireKnown(Self.read.union(Self.benign))
        let type = settings["image_processor_type"] ?? settings["feature_extractor_type"]
        let isSigLIP = try Self.family(type, path) ?? modelIsSigLIP
        try Self.requireRescaling(settings)
        let isNormalized = try settings.section.bool("do_normalize", default: true)
        let filter = try Self.filter(settings)
        let isSquashed = try Self.isSquashed(settings, side, isSigLIP)
        try Self.requireCrop(settings, side, isSigLIP: isSigLIP, isSquashed: isSquashed)
        let (mean, deviation) = isSigLIP ? (Self.half, Self.half) : (Self.clipMean, Self.clipDeviation)
        preprocess = [
            "size": .integer(side.height), "mode": "RGB",
            "mean": Self.numbers(
                isNormalized ? try settings.section.numbers("image_mean", count: 3, default: mean) : [0, 0, 0]),
            "std": Self.numbers(
                isNormalized ? try settings.section.numbers("image_std", count: 3, default: deviation) : [1, 1, 1]),
            "interpolation": .string(filter), "resize_mode": isSquashed ? "squash" : "shortest", "fill_color": 0,
        ]
        notes = []
    }

    private static func requireRescaling(_ settings: ProcessorSettings) throws {
        guard try settings.section.bool("do_resize", default: true) else {
            throw settings.refuse("do_resize", "images that are not resized are not built")
        }
        guard try settings.section.bool("do_rescale", default: true) else {
            throw settings.refuse("do_rescale", "values up to 255 are not built")
        }
        if let factor = settings["rescale_factor"] {
            guard let number = factor.number, abs(number * 255 - 1) < 1e-6 else {
                throw settings.refuse("rescale_factor", "only 1/255 is built")
            }
        }
    }

    /// Pillow's number of a filter, by open_clip's name.
    private static func filter(_ settings: ProcessorSettings) throws -> String {
        switch settings["resample"].map({ $0.integer }) ?? 3 {
        case 2: return "bilinear"
        case 3: return "bicubic"
        default: throw settings.refuse("resample", "only bilinear (2) and bicubic (3) are built")
        }
    }

    /// Whether the class named is SigLIP's; nil where none is named.
    private static func family(_ type: JSON?, _ path: String) throws -> Bool? {
        switch type?.string {
        case nil: return nil
        case "CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor":
            return false
        case "SiglipImageProcessor", "SiglipImageProcessorFast", "SiglipImageProcessorPil": return true
        case let other?:
            throw Failure(
                .badData, path, "image_processor_type: \(other) is not one this version reads (CLIP's and SigLIP's)")
        }
    }

    /// Whether both sides become the model's, or the shortest does. A number is the shortest side to CLIP's class, a
    /// square to SigLIP's.
    private static func isSquashed(
        _ settings: ProcessorSettings, _ side: (height: Int, width: Int), _ isSigLIP: Bool
    ) throws -> Bool {
        let size = settings["size"]
        let wanted = "the model takes \(side.height) x \(side.width)"
        if let height = size?["height"], let width = size?["width"] {
            guard height.integer == side.height, width.integer == side.width else {
                throw settings.refuse("size", "\(wanted): another size, or a margin around the crop, is not built")
            }
            return true
        }
        if size?.object != nil, isSigLIP || size?["shortest_edge"] == nil {
            throw settings.refuse(
                "size", isSigLIP ? "height and width are needed" : "height and width or shortest_edge are needed")
        }
        let edge = (size?["shortest_edge"] ?? size).map { $0.integer } ?? 224
        guard edge == side.height, side.height == side.width else {
            throw settings.refuse("size", "\(wanted): another size, or a margin around the crop, is not built")
        }
        return isSigLIP
    }

    private static func requireCrop(
        _ settings: ProcessorSettings, _ side: (height: Int, width: Int), isSigLIP: Bool, isSquashed: Bool
    ) throws {
        let isCut = try settings.section.bool("do_center_crop", default: !isSigLIP)
        guard !isSigLIP else {
            if isCut { throw settings.refuse("do_center_crop", "SigLIP's images are not cut") }
            return
        }
        guard isCut else {
            if isSquashed { return }
            throw settings.refuse("do_center_crop", "images whose long side is not cut do not fit the model")
        }
        let crop = settings["crop_size"]
        let height = (crop?["height"] ?? crop).map { $0.integer } ?? 224
        let width = (crop?["width"] ?? crop).map { $0.integer } ?? 224
        guard height == side.height, width == side.width else {
            throw settings.refuse("crop_size", "the model takes \(side.height) x \(side.width)")
        }
    }
}

/// A processor's settings.
private struct ProcessorSettings {
    let json: JSON
    let section: Section

    init(_ json: JSON, path: String) throws {
        self.json = json
        section = try Section(json, path: path)
    }

    /// Null is as absent.
    subscript(key: String) -> JSON? { json[key].flatMap { $0.isNull ? nil : $0 } }

    func refuse(_ key: String, _ why: String) -> Failure {
        section.wrong(key, "\(json[key]?.text() ?? "absent"), \(why)")
    }

    /// What is off may be unknown: it does nothing.
    func requireKnown(_ keys: Set<String>) throws {
        for key in section.keys where !keys.contains(key) {
            guard let found = self[key], found.bool != false else { continue }
            throw refuse(key, "a setting that this version does not know")
        }
    }
}
