import Evaluation
package import Images
package import Shards
import StrictYAML
import Support

/// What is trained on.
package struct DataPart {
    package let sources: [(shards: [String], weight: Double)]
    /// A file of which samples take part (`SampleSelection`); nil: all.
    package let selection: String?
    package let fields: SampleFields
    package let augmentation: Augmentation
    /// Of training images; held-out ones are always exact.
    package let decode: DecodeMode
    package let conversion: ImageConversion
    package let window: Int
    package let samplesPerEpoch: Int?
    package let threads: Int
    package let largestFaultShare: Double

    /// - Parameter file: what it names beside itself becomes named from the working folder
    init(_ section: Section, _ file: inout YAMLFile) throws {
        let keys = DataKeys()
        let path = file
        let listed = try keys.sources(section)
        if listed.isEmpty {
            sources = [(try keys.train(section), 1)]
        } else {
            sources = try listed.map { source in
                (
                    try SourceKeys().shards(source).map { RecipePaths.place($0, path) },
                    try SourceKeys().weight(source)
                )
            }
        }
        let weights = sources.map(\.weight)
        guard weights.allSatisfy(\.isFinite), weights.reduce(0, +) > 0 else {
            throw section.wrong("sources", "the weights need a finite sum above 0")
        }
        selection = try keys.selection(section).map { RecipePaths.place($0, path) }
        fields = try Self.fields(section, keys, &file)
        window = try keys.window(section)
        samplesPerEpoch = try keys.samplesPerEpoch(section)
        decode = try keys.decode(section)
        conversion = try keys.conversion(section)
        threads = try keys.threads(section) ?? max(1, Machine.coreCount / 2)
        largestFaultShare = try keys.largestFaultShare(section)
        augmentation = try Self.augmentation(keys.augment(section))
    }

    private static func fields(_ section: Section, _ keys: DataKeys, _ file: inout YAMLFile) throws -> SampleFields {
        let fields = SampleFields(
            captionKey: try keys.captionKey(section), form: try keys.captions(section),
            classes: try section.has("classes") ? TextList.read(section, "classes", beside: file.path) : [],
            templates: try section.has("templates")
                ? TextList.read(section, "templates", beside: file.path) : ["a photo of a {}."])
        if !fields.classes.isEmpty, let bare = fields.templates.first(where: { !$0.contains("{}") }) {
            throw section.wrong("templates", "\"\(bare)\" has no {} for the class name")
        }
        // The merged file is kept elsewhere: what it names beside itself is named from here.
        let path = file.path
        for key in ["classes", "templates"] {
            guard let place = try TextList.resolved(section, key, beside: path) else { continue }
            try file.set("data.\(key)=\(JSON.string(place).text())")
        }
        return fields
    }

    private static func augmentation(_ section: Section) throws -> Augmentation {
        let keys = AugmentKeys()
        let (scale, ratio) = (try keys.scale(section), try keys.ratio(section))
        guard scale[0] >= 1e-6, scale[0] <= scale[1], scale[1] <= 1 else {
            throw section.wrong("scale", "needs 0.000001 <= low <= high <= 1")
        }
        guard ratio[0] >= 0.001, ratio[0] <= ratio[1], ratio[1] <= 1000 else {
            throw section.wrong("ratio", "needs 0.001 <= low <= high <= 1000")
        }
        return Augmentation(
            scale: scale[0]...scale[1], ratio: ratio[0]...ratio[1], flip: try keys.flip(section))
    }
}
