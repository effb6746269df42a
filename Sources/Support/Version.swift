/// The program's version, as `--version` prints it and results carry it.
package enum Version {
    package static let text = "0.2.0"
}
