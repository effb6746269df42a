/// The files below a folder, links followed: what `ls -L` would show at any depth. Names that begin with a dot (macOS's
/// `._0.jpg`, Jupyter's `.ipynb_checkpoints`) are passed over, as everywhere in Unix.
public struct FolderWalk: Sendable {
    /// Relative paths, sorted bytewise as a whole.
    public let files: [String]

    /// - Throws: `Failure` when a folder cannot be listed, or links lead in a circle
    public init(_ folder: String) throws {
        var files: [String] = []
        try Self.walk(folder, "", above: [], into: &files)
        self.files = files.sorted { $0.precedesAsName($1) }
    }

    private static func walk(_ root: String, _ path: String, above: [Files.Identity], into files: inout [String]) throws
    {
        let folder = path.isEmpty ? root : root + "/" + path
        guard let identity = Files.identity(folder) else { return }
        guard !above.contains(identity) else { return }  // a link to a folder above holds nothing new
        for name in try Files.names(in: folder) where !name.hasPrefix(".") {
            let inner = path.isEmpty ? name : path + "/" + name
            if Files.isFolder(root + "/" + inner) {
                try walk(root, inner, above: above + [identity], into: &files)
            } else {
                files.append(inner)
            }
        }
    }
}
