import Foundation
import Support

/// The program `diptych`, as a user runs it.
package enum Program {
    package static func run(_ arguments: String...) throws -> (code: Int32, out: String, error: String) {
        try run(arguments)
    }

    package static func run(_ arguments: [String], input: String? = nil, in folder: String = Places.project) throws -> (
        code: Int32, out: String, error: String
    ) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Places.program)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        let base = NSTemporaryDirectory() + "/diptych-" + UUID().uuidString
        for name in [".out", ".err", ".in"] {
            try Data((name == ".in" ? input ?? "" : "").utf8).write(to: URL(fileURLWithPath: base + name))
        }
        defer { for name in [".out", ".err", ".in"] { try? FileManager.default.removeItem(atPath: base + name) } }
        process.standardOutput = FileHandle(forWritingAtPath: base + ".out")
        process.standardError = FileHandle(forWritingAtPath: base + ".err")
        process.standardInput = FileHandle(forReadingAtPath: base + ".in")
        try process.run()
        process.waitUntilExit()
        func text(_ name: String) throws -> String { String(decoding: try readFile(base + name), as: UTF8.self) }
        return (process.terminationStatus, try text(".out"), try text(".err"))
    }
}
