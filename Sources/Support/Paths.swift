import Foundation

/// Where files that are named in recipes and on the command line stand: in the working folder, beside the file that names
/// them, or among Diptych's own files, so that a command works from anywhere.
package enum Paths {
    /// The folder that holds Recipes, Evals and Tokenizers: `$DIPTYCH_HOME`, or found upwards from the program
    /// (a checkout, or `share/diptych` beside `bin`). nil where there is none.
    package static var home: String? {
        if let named = ProcessInfo.processInfo.environment["DIPTYCH_HOME"], !named.isEmpty { return named }
        let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return program.flatMap { home(above: $0) }
    }

    @inline(never)
    private static func home(above file: String) -> String? {
        var folder = Files.parent(of: file)
        for _ in 0..<6 where !folder.isEmpty {
            if isHome(folder) { return folder }
            if isHome(folder + "/share/diptych") { return folder + "/share/diptych" }
            folder = Files.parent(of: folder)
        }
        return nil
    }

    private static func isHome(_ folder: String) -> Bool {
        Files.isFolder(folder + "/Recipes") && Files.isFolder(folder + "/Tokenizers")
    }

    /// A name as it is named from another file.
    package static func beside(_ file: String, _ name: String) -> String {
        let folder = Files.parent(of: file)
        return folder.isEmpty || name.hasPrefix("/") ? name : folder + "/" + name
    }

    /// The first place where a file or folder of this name stands; nil where it stands nowhere.
    ///
    /// - Parameter file: the one that names it
    package static func find(_ name: String, beside file: String? = nil) -> String? {
        if Files.exists(name) { return name }
        guard !name.hasPrefix("/") else { return nil }
        if let file {
            let place = beside(file, name)
            if Files.exists(place) { return place }
        }
        // A recipe of a checkout finds its neighbours there, wherever the program stands.
        for home in [file.flatMap { home(above: $0) }, home] {
            guard let home else { continue }
            let place = home + "/" + name
            if Files.exists(place) { return place }
        }
        return nil
    }
}

/// Where set-up keeps files that cannot live in the project.
package var cacheFolder: String {
    let environment = ProcessInfo.processInfo.environment
    return environment["DIPTYCH_CACHE"] ?? (environment["HOME"] ?? ".") + "/.cache/diptych"
}
