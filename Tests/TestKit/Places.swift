import Foundation

/// Where tests find things.
package enum Places {
    /// The top folder of the project.
    package static let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// Large golden sets that a developer may have: DIPTYCH_FIXTURES.
    package static let fixtures = ProcessInfo.processInfo.environment["DIPTYCH_FIXTURES"]

    /// Real photos and captions that a developer may have: DIPTYCH_DATA.
    package static let data = ProcessInfo.processInfo.environment["DIPTYCH_DATA"]

    /// The `diptych` program built with the tests.
    package static let program =
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/diptych"

    /// A folder of its own, removed when `body` ends.
    package static func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let path = NSTemporaryDirectory() + "/diptych-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }
}
