import CVersion

/// The program's version, as `--version` prints it and results carry it.
package enum Version {
    package static let text = "0.3.0"

    /// The commit of the checkout that it was built in; empty where it is none. Changes on top of it are not told.
    package static var commit: String { String(cString: cv_commit()) }
}
