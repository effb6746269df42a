import Foundation
import Images
import Support
import Tokenization

/// Why a sample is left out of training.
package enum SampleFault: Error, Sendable, CustomStringConvertible {
    /// With the suffixes that the sample has.
    case noImage(String)
    case noCaption(String)
    case emptyCaption, notUTF8
    case noClass
    case image(ImageFault)
    /// Its JSON.
    case unreadable(String)
    /// Not the sample's fault: the shard itself cannot be read.
    case shard(Failure)

    /// What faults are counted by.
    package var reason: String {
        switch self {
        case .noImage: "no image"
        case .noCaption: "no caption"
        case .emptyCaption: "empty caption"
        case .notUTF8: "caption not UTF-8"
        case .noClass: "no class"
        case .image(let fault): fault.reason.rawValue
        case .unreadable: "unreadable JSON"
        case .shard: "unreadable shard"
        }
    }

    package var description: String {
        switch self {
        case .noImage(let suffixes), .noCaption(let suffixes): "\(reason) (the sample has \(suffixes))"
        case .emptyCaption, .notUTF8, .noClass: reason
        case .image(let fault): fault.description
        case .unreadable(let why): "\(reason) (\(why))"
        case .shard(let failure): failure.description
        }
    }

    /// What to know where samples lack members.
    private static let grouping =
        "A sample's key is its name up to the first dot of the base name, and its members stand together in the tar "
        + "(tar --sort=name puts them so)"

    /// What to do about faults of these reasons, where they may come from how members are named or ordered.
    package static func remedy(_ reasons: some Sequence<String>) -> String {
        reasons.contains { $0 == "no image" || $0 == "no caption" } ? grouping : ""
    }
}

/// What a txt member is.
package enum CaptionForm: String, Sendable, CaseIterable {
    /// A caption a line, as `data pack` writes several of one image; LF and CRLF end a line, nothing else.
    case lines
    /// One caption with all its lines, as open_clip takes it.
    case whole
}

/// Which members of a sample are read.
package struct SampleFields: Sendable, Equatable {
    /// Read captions from this field of the sample's JSON instead of its txt.
    package var captionKey: String?
    package var form: CaptionForm
    /// The captions are made from the class: class names and templates with {}.
    package var classes: [String]
    package var templates: [String]

    package init(
        captionKey: String? = nil, form: CaptionForm = .lines, classes: [String] = [], templates: [String] = []
    ) {
        self.captionKey = captionKey
        self.form = form
        self.classes = classes
        self.templates = templates
    }
}

extension Shard {
    package func imageData(_ sample: SampleEntry) throws(SampleFault) -> Data {
        guard let member = ImageFormat.suffixes.lazy.compactMap({ sample.members[$0] }).first else {
            throw .noImage(sample.suffixes)
        }
        return try bytes(member)
    }

    /// - Parameter shortest: see `PixelImage.init(decoding:shortest:)`
    package func image(
        _ sample: SampleEntry, _ conversion: ImageConversion = .rgbFirst, shortest: Int? = nil
    ) throws(SampleFault) -> any Raster {
        let data = try imageData(sample)
        do { return try conversion.open(data, shortest: shortest) } catch { throw .image(error) }
    }

    /// One or several; never empty.
    package func captions(_ sample: SampleEntry, _ fields: SampleFields = SampleFields()) throws(SampleFault)
        -> [String]
    {
        var captions: [String]
        if !fields.classes.isEmpty {
            let index = try classIndex(sample)
            guard fields.classes.indices.contains(index) else { throw .noClass }
            return fields.templates.map { $0.replacingOccurrences(of: "{}", with: fields.classes[index]) }
        } else if let key = fields.captionKey {
            guard let value = try json(sample)?[key] else { throw .noCaption(sample.suffixes) }
            captions = value.array?.compactMap(Self.caption) ?? [value.string].compactMap { $0 }
        } else if let member = sample.members["txt"] {
            captions = try texts(of: try bytes(member), fields.form)
        } else {
            throw .noCaption(sample.suffixes)
        }
        captions = captions.map(Clean.trimmed).filter { !$0.isEmpty }
        guard !captions.isEmpty else { throw .emptyCaption }
        return captions
    }

    /// An element of a list of captions: a text, or MetaCLIP's [kind, text].
    private static func caption(_ json: JSON) -> String? {
        if let text = json.string { return text }
        guard let pair = json.array, pair.count > 1 else { return nil }
        return pair[1].string
    }

    private func texts(of data: Data, _ form: CaptionForm) throws(SampleFault) -> [String] {
        let parts = form == .lines ? TextLines.bytes(of: data) : [data]
        var texts: [String] = []
        for part in parts {
            guard let text = String(validating: part, as: UTF8.self) else { throw .notUTF8 }
            texts.append(text)
        }
        return texts
    }

    package func classIndex(_ sample: SampleEntry) throws(SampleFault) -> Int {
        guard let member = sample.members["cls"] else { throw .noClass }
        let text = String(decoding: try bytes(member), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let index = Int(text), index >= 0 else { throw .noClass }
        return index
    }

    package func json(_ sample: SampleEntry) throws(SampleFault) -> JSON? {
        guard let member = sample.members["json"] else { return nil }
        let data = try bytes(member)
        do { return try JSON(parsing: data, path: path) } catch {
            if String(validating: data, as: UTF8.self) == nil { throw .notUTF8 }
            throw .unreadable((error as? Failure)?.problem ?? "\(error)")
        }
    }

    private func bytes(_ member: TarMember) throws(SampleFault) -> Data {
        do { return try data(member) } catch {
            throw .shard(error as? Failure ?? Failure(.io, path, "cannot be read: \(error)"))
        }
    }
}
