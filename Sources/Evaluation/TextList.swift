import Foundation
package import Support
import Tokenization

/// Class names or templates named by a YAML key: a list, a text file with one a line, or a field of a
/// JSON file (`file.json#key`). Files stand beside the YAML, in the working folder or where set-up puts them.
package enum TextList {
    package static func read(_ section: Section, _ key: String, beside path: String) throws -> [String] {
        let texts = try find(section, key, beside: path)
        guard !texts.isEmpty else { throw section.wrong(key, "holds no texts") }
        return texts
    }

    /// A file beside the YAML, in the working folder or where set-up puts it.
    static func locate(_ name: String, _ section: Section, _ key: String, beside path: String) throws -> String {
        let benchmark = cacheFolder + "/benchmark/" + name
        let beside = Paths.beside(path, name)
        guard
            let file = ([beside, name].first { Files.exists($0) }) ?? Paths.find(name, beside: path)
                ?? (Files.exists(benchmark) ? benchmark : nil)
        else {
            throw section.wrong(
                key, "no such file \(name) (looked beside the file, here and in \(cacheFolder)/benchmark)",
                remedy: "Run scripts/setup")
        }
        return file
    }

    /// A value that names a file beside the YAML, as it is named from the working folder; nil for any other.
    package static func resolved(_ section: Section, _ key: String, beside path: String) throws -> String? {
        let words = section.has(key) ? try section.strings(key) : []
        guard words.count == 1, words[0].hasSuffix(".txt") || words[0].contains(".json#") else { return nil }
        let parts = words[0].split(separator: "#", maxSplits: 1).map(String.init)
        let beside = (path as NSString).deletingLastPathComponent + "/" + parts[0]
        guard path.contains("/"), Files.exists(beside) else { return nil }
        return ([(beside as NSString).standardizingPath] + parts.dropFirst()).joined(separator: "#")
    }

    private static func find(_ section: Section, _ key: String, beside path: String) throws -> [String] {
        let words = try section.strings(key)
        guard words.count == 1, words[0].hasSuffix(".txt") || words[0].hasSuffix(".json") || words[0].contains(".json#")
        else {
            return words.map(withPlainPlace)
        }
        let parts = words[0].split(separator: "#", maxSplits: 1).map(String.init)
        let file = try locate(parts[0], section, key, beside: path)
        if parts.count == 1, file.hasSuffix(".json") {
            guard let texts = try JSON(file: file).array?.map(\.string), !texts.contains(nil) else {
                throw section.wrong(
                    key, "\(file) is no list of texts", remedy: "Write \(parts[0])#KEY for a list in an object")
            }
            return texts.compactMap { $0 }.map(withPlainPlace)
        }
        if parts.count == 1 { return try TextLines.read(file).filter { !$0.isEmpty }.map(withPlainPlace) }
        guard let texts = try JSON(file: file)[parts[1]]?.array?.map(\.string), !texts.isEmpty, !texts.contains(nil)
        else {
            throw section.wrong(key, "\(file) has no list of texts \(parts[1])")
        }
        return texts.compactMap { $0 }.map(withPlainPlace)
    }

    /// {c}, as CLIP_benchmark writes the place of a class name, is {}.
    private static func withPlainPlace(_ text: String) -> String { text.replacingOccurrences(of: "{c}", with: "{}") }
}
