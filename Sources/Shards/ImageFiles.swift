import Foundation
package import Images
import Support

/// The images of a folder at any depth, by their suffixes; what else stands there is counted.
package struct ImageFiles: Sendable {
    package let folder: String
    /// Relative paths, sorted bytewise.
    package let files: [String]
    private let others: [String: Int]
    /// Whether the folder holds shards rather than images.
    package let areShards: Bool

    /// - Throws: `Failure` when a folder cannot be listed, or holds images and shards
    package init(_ folder: String) throws {
        self.folder = folder
        var (images, others) = ([String](), [String: Int]())
        var shards = 0
        for file in try FolderWalk(folder).files {
            let suffix = Files.suffix(of: file)
            if ImageFormat.suffixes.contains(suffix) {
                images.append(file)
            } else {
                others[suffix.isEmpty ? "no suffix" : "." + suffix, default: 0] += 1
                if shardSuffixes.contains(where: { file.hasSuffix($0) }) { shards += 1 }
            }
        }
        files = images
        self.others = others
        guard shards == 0 || images.isEmpty else {
            throw Failure(
                .badData, folder, "holds \(images.count) images and \(shards) shards: which are meant is not known",
                remedy: "Name the shards, or move them away from the images")
        }
        areShards = shards > 0
    }

    /// "passed over, no images by their suffix: 3 x .json"; nil where nothing was.
    package var note: String? {
        guard !others.isEmpty else { return nil }
        let list = others.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key)" }.joined(separator: ", ")
        return "\(folder): passed over, no images by their suffix: \(list)"
    }

    /// - Throws: `Failure(.badData)` naming the file and what is wrong with it
    package static func open(_ file: String, _ conversion: ImageConversion, remedy: String = "") throws -> any Raster {
        let data = try readFile(file)
        do throws(ImageFault) { return try conversion.open(data) } catch {
            throw Failure(.badData, file, error.description, remedy: remedy)
        }
    }

    /// The files' names without their suffixes; those that would be alike keep them.
    ///
    /// - Returns: also how many kept it
    package var keys: (keys: [String], alike: Int) {
        let bare = files.map { Files.withoutSuffix($0) }
        let counts = bare.reduce(into: [NameKey: Int]()) { $0[NameKey($1), default: 0] += 1 }
        var alike = 0
        let keys = zip(bare, files).map { key, file in
            guard counts[NameKey(key), default: 0] > 1 else { return key }
            alike += 1
            return file
        }
        return (keys, alike)
    }
}
