/// The files below a folder, links followed: what `ls -L` would show at any depth. Names that begin with a dot (macOS's
/// `._0.jpg`, Jupyter's `.ipynb_checkpoints`) are passed over, as everywhere in Unix.
package struct FolderWalk: Sendable {
    /// Relative paths, sorted bytewise as a whole.
    package private(set) var files: [String] = []
    private var visits: [Files.Identity: Int] = [:]

    /// Links that lead across each other would otherwise multiply without end.
    private static let mostVisits = 64

    /// - Throws: `Failure` when a folder cannot be listed, or links lead to one by more ways than anybody means
    package init(_ folder: String) throws {
        try walk(folder, "", above: [])
        files.sort { $0.precedesAsName($1) }
    }

    private mutating func walk(_ root: String, _ path: String, above: [Files.Identity]) throws {
        let folder = path.isEmpty ? root : root + "/" + path
        guard let identity = Files.identity(folder) else {
            guard path.isEmpty else { return }  // a link to nothing
            throw Failure(.inputMissing, root, "no such folder")
        }
        guard !above.contains(identity) else { return }  // a link to a folder above holds nothing new
        visits[identity, default: 0] += 1
        guard visits[identity] ?? 0 <= Self.mostVisits else {
            throw Failure(.badData, folder, "links lead to this folder by more than \(Self.mostVisits) ways")
        }
        for name in try Files.names(in: folder) where !name.hasPrefix(".") {
            let inner = path.isEmpty ? name : path + "/" + name
            if Files.isFolder(root + "/" + inner) {
                try walk(root, inner, above: above + [identity])
            } else {
                files.append(inner)
            }
        }
    }
}
