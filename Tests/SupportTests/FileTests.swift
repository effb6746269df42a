import Foundation
import Images
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct FileTests {
    private func json(_ text: String) throws -> JSON { try JSON(parsing: Data(text.utf8), path: "x.json") }

    @Test("JSON is read as Python's json reads it")
    func pythonJSON() throws {
        #expect(try json("{\"a\": NaN}")["a"]?.number?.isNaN == true)
        #expect(try json("[Infinity, -Infinity]") == .array([.number(.infinity), .number(-.infinity)]))
        #expect(try json("\"\\ud83d\\ude00 \\ud800x\"").string == "\u{1F600} \u{FFFD}x")
        #expect(try json("{\"a\": 1, \"a\": 2}")["a"] == 2)
        #expect(try json("123456789012345678901234567890").number == 123456789012345678901234567890)
        #expect(try json("-0.5e-3").number == -0.0005)
        for wrong in ["", "{", "[1,]", "{\"a\"}", "01", "1.", "tru", "\"\u{1}\"", "[1] 2", "\"\\q\"", "+1"] {
            #expect(throws: Failure.self, "\(wrong)") { try json(wrong) }
        }
        #expect(throws: Failure.self) { try json(String(repeating: "[", count: 100_000)) }
    }

    @Test("Folders are walked through links, dot files passed over, a link in a circle once")
    func folders() throws {
        try Places.withFolder { folder in
            try Files.makeFolder(folder + "/real/sub")
            for name in ["real/a.jpg", "real/sub/b.PNG", "real/._a.jpg", "real/c.txt"] {
                try AtomicFile.write("x", to: folder + "/" + name)
            }
            symlink(folder + "/real", folder + "/link")
            symlink(folder + "/real", folder + "/real/sub/circle")
            let images = try ImageFiles(folder + "/link")
            #expect(images.files == ["a.jpg", "sub/b.PNG"])
            #expect(images.note?.hasSuffix("1 x .txt") == true)
        }
    }

    @Test("What a file names never leaves its folder, and temporary names are nobody's to guess")
    func places() throws {
        for name in ["../x", "a/b", "/etc/x", "", ".x", "..", "a\u{0}b", "caf\u{E9}"] {
            #expect(throws: Failure.self, "\(name)") { try Files.inside("f", name, of: "x") }
        }
        #expect(try Files.inside("f", "tokenizer.model", of: "x") == "f/tokenizer.model")
        try Places.withFolder { folder in
            try AtomicFile.write("x", to: folder + "/a.1y2p0ij32e8e7.diptych.tmp")
            try AtomicFile.write("x", to: folder + "/notes.old.tmp")
            try AtomicFile.removeLeftOvers(in: folder)
            #expect(try Files.names(in: folder) == ["notes.old.tmp"])
        }
    }

    @Test("What is no regular file is refused at once", arguments: ["/dev/zero", "/dev"])
    func irregular(_ path: String) {
        #expect(throws: Failure.self) { try readFile(path) }
    }
}
