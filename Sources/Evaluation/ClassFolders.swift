import Support
import Tokenization

/// Which class of a task each folder of an ImageFolder is: by name, by WordNet id, by number, and only where none of these
/// tells by position, which is said.
struct ClassFolders {
    /// The class of each folder.
    let classes: [Int]
    let note: String

    /// - Parameters:
    ///   - folders: sorted bytewise
    ///   - wordNet: the id of each class; empty where the task names none
    /// - Throws: `Failure(.badData)` naming the folders that belong to no class
    init(_ folders: [String], classNames: [String], wordNet: [String], path: String) throws {
        let count = classNames.count
        func named(by form: (String) -> String) -> [Int?] {
            let places = Self.lookup(classNames.map(form))
            return folders.map { places[form($0)] }
        }
        let strict = named(by: Self.plain)
        let named = Self.whole(strict) == nil ? named(by: Self.letters) : strict
        let numbers = folders.map { Self.number($0) }
        func belongNot(_ found: [Int?], to what: String) -> Failure {
            let strays = zip(folders, found).filter { $0.1 == nil }.map { "\"\($0.0.shownName)\"" }
            return Failure(
                .badData, path,
                "\(strays.count) class folders belong to no \(what): \(strays.prefix(5).joined(separator: ", "))"
                    + (strays.count > 5 ? ", ..." : ""),
                remedy: "Remove or rename them, or take a task of these classes")
        }
        if let classes = Self.whole(named) {
            (self.classes, note) = (classes, "class folders are paired with class names by name")
        } else if folders.allSatisfy(Self.isWordNet), !wordNet.isEmpty {
            let byID = Self.lookup(wordNet)
            let found = folders.map { byID[$0] }
            guard let classes = Self.whole(found) else { throw belongNot(found, to: "WordNet id of the task") }
            (self.classes, note) = (classes, "class folders are paired with classes by WordNet id")
        } else if let found = Self.whole(numbers), found.allSatisfy({ (0..<count).contains($0) }),
            Set(found).count == found.count
        {
            let isPlain = found.contains(0) || found.count == count
            (classes, note) = (
                found,
                (isPlain ? "" : "WARNING: there is no folder 0: ")
                    + "class folders are paired with classes by their numbers, counted from 0"
            )
        } else if folders.count == count, let found = Self.whole(numbers), Set(found).count == count {
            let order = found.sorted()
            classes = found.map { number in order.firstIndex(of: number) ?? 0 }
            note = "class folders are paired with classes by the order of their numbers"
        } else {
            // Some agree: pairing the others by position would be wrong without a word.
            let agreeing = named.enumerated().filter { $0.element != nil }
            guard agreeing.allSatisfy({ $0.element == $0.offset }), folders.count == count else {
                if !agreeing.isEmpty { throw belongNot(named, to: "class of the task") }
                throw Failure(
                    .badData, path,
                    "has \(folders.count) class folders (\(Self.list(folders))), the task has \(count) classes "
                        + "(\(Self.list(classNames))), and their names do not agree",
                    remedy: "Take the task of these classes, or name the folders as its classes")
            }
            classes = Array(0..<count)
            let pairs = zip(folders, classNames).prefix(5).map { "\($0.shownName) = \"\($1)\"" }.joined(separator: ", ")
            note =
                "WARNING: class folders are paired with class names by position, because their names do not agree: \(pairs)"
                + (count > 5 ? ", ..." : "")
        }
    }

    /// The letters and digits alone: "HotDog" is "hot dog", "jack-o-lantern" is "jack-o'-lantern".
    private static func letters(_ name: String) -> String {
        String(
            plain(name).unicodeScalars.filter { $0.properties.isAlphabetic || $0.properties.numericType != nil }.map(
                Character.init))
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(4).map(\.shownName).joined(separator: ", ") + (names.count > 4 ? ", ..." : "")
    }

    /// Case, "_" and "-" apart.
    private static func plain(_ name: String) -> String {
        Clean.trimmed(String(name.lowercased().map { $0 == "_" || $0 == "-" ? " " : $0 }))
    }

    /// Where each name stands; names that stand twice tell nothing.
    private static func lookup(_ names: [String]) -> [String: Int] {
        var places: [String: Int] = [:]
        for (index, name) in names.enumerated() { places[name] = places[name] == nil ? index : -1 }
        return places.filter { $0.value >= 0 }
    }

    /// All of them, each class once.
    private static func whole(_ found: [Int?]) -> [Int]? {
        let classes = found.compactMap { $0 }
        return classes.count == found.count && Set(classes).count == classes.count ? classes : nil
    }

    private static func isWordNet(_ name: String) -> Bool {
        name.utf8.count == 9 && name.hasPrefix("n") && name.utf8.dropFirst().allSatisfy { (48...57).contains($0) }
    }

    private static func number(_ name: String) -> Int? {
        name.utf8.allSatisfy { (48...57).contains($0) } ? Int(name) : nil
    }
}
