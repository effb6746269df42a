import StrictYAML
import Support

/// Where what a recipe names stands.
enum RecipePaths {
    /// The file with what it names found: in the working folder, beside the recipe, or among Diptych's own files. What
    /// stands in none of them keeps its name, and whoever opens it says so.
    static func located(_ file: YAMLFile) throws -> YAMLFile {
        var located = file
        let top = try Section(file)
        func set(_ key: String, _ words: [String]) throws {
            let found = words.map { place($0, file) }
            guard found != words else { return }
            let texts = found.map { JSON.string($0).text() }
            try located.set("\(key)=" + (texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"))
        }
        for key in ["model", "init_from", "text_encoder", "tokenizer"] where top.has(key) {
            try set(key, [top.string(key)])
        }
        for (name, key) in [("data", "train"), ("validation", "shards")] {
            let section = try top.section(name)
            if section.has(key) { try set("\(name).\(key)", section.strings(key)) }
        }
        return located
    }

    static func place(_ name: String, _ file: YAMLFile) -> String {
        Paths.find(name, beside: file.path) ?? pattern(name, beside: file.path)
    }

    /// A pattern of shards beside the recipe, where the folder it names stands there and not here.
    private static func pattern(_ name: String, beside file: String) -> String {
        guard let brace = name.firstIndex(of: "{"), !name.hasPrefix("/") else { return name }
        let folder = Files.parent(of: String(name[..<brace]))
        let place = Paths.beside(file, folder)
        return !folder.isEmpty && !Files.exists(folder) && Files.exists(place) ? Paths.beside(file, name) : name
    }
}
