import CVersion

/// The program's version, as `--version` prints it and results carry it.
package enum Version {
    package static let text = "0.3.0"

    /// The commit it was built from, "+" behind it where files had changed; empty where it is not known.
    package static var commit: String { String(cString: cv_commit()) }
}
