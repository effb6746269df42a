package import Foundation
package import Images
package import Support
import Tokenization

/// One sample of a shard, ready to be read.
package struct Sample: Sendable {
    package let key: String
    /// By suffix, lower case.
    let members: [String: TarMember]
    /// The shard's.
    let path: String
    /// The bytes of a member.
    let read: @Sendable (TarMember) throws -> Data

    /// Its members' suffixes, to say what it lacks.
    private var suffixes: String { members.keys.sorted().joined(separator: ", ") }

    package func imageData() throws(SampleFault) -> Data {
        guard let member = ImageFormat.suffixes.lazy.compactMap({ members[$0] }).first else {
            throw .noImage(suffixes)
        }
        return try bytes(member)
    }

    /// - Parameter shortest: see `PixelImage.init(decoding:shortest:)`
    package func image(
        _ conversion: ImageConversion = .rgbFirst, shortest: Int? = nil
    ) throws(SampleFault) -> any Raster {
        let data = try imageData()
        do { return try conversion.open(data, shortest: shortest) } catch { throw .image(error) }
    }

    /// One or several; never empty.
    package func captions(_ fields: SampleFields = SampleFields()) throws(SampleFault)
        -> [String]
    {
        var captions: [String]
        if !fields.classes.isEmpty {
            let index = try classIndex()
            guard fields.classes.indices.contains(index) else { throw .noClass }
            return fields.templates.map { $0.replacingOccurrences(of: "{}", with: fields.classes[index]) }
        } else if let key = fields.captionKey {
            guard let value = try json()?[key] else { throw .noCaption(suffixes) }
            captions = value.array?.compactMap(Self.caption) ?? [value.string].compactMap { $0 }
        } else if let member = members["txt"] {
            captions = try texts(of: try bytes(member), fields.form)
        } else {
            throw .noCaption(suffixes)
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

    package func classIndex() throws(SampleFault) -> Int {
        guard let member = members["cls"] else { throw .noClass }
        let text = String(decoding: try bytes(member), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let index = Int(text), index >= 0 else { throw .noClass }
        return index
    }

    package func json() throws(SampleFault) -> JSON? {
        guard let member = members["json"] else { return nil }
        let data = try bytes(member)
        do { return try JSON(parsing: data, path: path) } catch {
            if String(validating: data, as: UTF8.self) == nil { throw .notUTF8 }
            throw .unreadable((error as? Failure)?.problem ?? "\(error)")
        }
    }

    private func bytes(_ member: TarMember) throws(SampleFault) -> Data {
        do { return try read(member) } catch {
            throw .shard(error as? Failure ?? Failure(.io, path, "cannot be read: \(error)"))
        }
    }
}
