import Foundation
import Images
import Support
import Tokenization

/// Why a sample is left out of training.
public enum SampleFault: Error, Sendable, CustomStringConvertible {
    case noImage, noCaption, emptyCaption, noClass
    case image(ImageFault)
    case unreadable(String)

    /// What faults are counted by.
    public var reason: String {
        switch self {
        case .noImage: "no image"
        case .noCaption: "no caption"
        case .emptyCaption: "empty caption"
        case .noClass: "no class"
        case .image(let fault): fault.reason.rawValue
        case .unreadable: "unreadable"
        }
    }

    public var description: String {
        switch self {
        case .noImage, .noCaption, .emptyCaption, .noClass: reason
        case .image(let fault): fault.description
        case .unreadable(let why): "unreadable (\(why))"
        }
    }
}

/// Which members of a sample are read.
public struct SampleFields: Sendable, Equatable {
    /// Read captions from this field of the sample's JSON instead of its txt.
    public var captionKey: String?
    /// The captions are made from the class: class names and templates with {}.
    public var classes: [String]
    public var templates: [String]

    public init(captionKey: String? = nil, classes: [String] = [], templates: [String] = []) {
        self.captionKey = captionKey
        self.classes = classes
        self.templates = templates
    }
}

extension Shard {
    static let imageSuffixes = ["jpg", "jpeg", "png", "webp"]

    public func imageData(_ sample: SampleEntry) throws(SampleFault) -> Data {
        guard let member = Self.imageSuffixes.lazy.compactMap({ sample.members[$0] }).first else { throw .noImage }
        return try bytes(member)
    }

    /// - Parameter shortest: see `PixelImage.init(decoding:shortest:)`
    public func image(
        _ sample: SampleEntry, _ conversion: ImageConversion = .rgbFirst, shortest: Int? = nil
    ) throws(SampleFault) -> any Raster {
        let data = try imageData(sample)
        do { return try conversion.open(data, shortest: shortest) } catch { throw .image(error) }
    }

    /// One or several; never empty.
    public func captions(_ sample: SampleEntry, _ fields: SampleFields = SampleFields()) throws(SampleFault) -> [String]
    {
        var captions: [String]
        if !fields.classes.isEmpty {
            let index = try classIndex(sample)
            guard fields.classes.indices.contains(index) else { throw .noClass }
            return fields.templates.map { $0.replacingOccurrences(of: "{}", with: fields.classes[index]) }
        } else if let key = fields.captionKey {
            guard let value = try json(sample)?[key] else { throw .noCaption }
            captions = value.array?.compactMap(\.string) ?? [value.string].compactMap { $0 }
        } else if let member = sample.members["txt"] {
            captions = String(decoding: try bytes(member), as: UTF8.self).split(whereSeparator: \.isNewline).map(
                String.init)
        } else {
            throw .noCaption
        }
        captions = captions.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }.filter { !$0.isEmpty }
        guard !captions.isEmpty else { throw .emptyCaption }
        return captions
    }

    public func classIndex(_ sample: SampleEntry) throws(SampleFault) -> Int {
        guard let member = sample.members["cls"] else { throw .noClass }
        let text = String(decoding: try bytes(member), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let index = Int(text), index >= 0 else { throw .noClass }
        return index
    }

    public func json(_ sample: SampleEntry) throws(SampleFault) -> JSON? {
        guard let member = sample.members["json"] else { return nil }
        let data = try bytes(member)
        do { return try JSON(parsing: data, path: path) } catch { throw .unreadable("\(error)") }
    }

    private func bytes(_ member: TarMember) throws(SampleFault) -> Data {
        do { return try data(member) } catch { throw .unreadable("\(error)") }
    }
}
