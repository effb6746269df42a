import Foundation
import StrictYAML
import Support
import TestKit
import Testing
import Weights

@Suite struct SupportTests {
    @Test("SHA-256 of the standard's examples")
    func sha256() {
        #expect(SHA256.hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(SHA256.hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        let million = String(repeating: "a", count: 1_000_000)
        #expect(SHA256.hex(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test("A random stream depends on every part of its key and can be opened anywhere")
    func randomStream() {
        func first(_ seed: UInt64, _ purpose: String, _ epoch: Int, _ sample: Int) -> UInt64 {
            var stream = RandomStream(seed: seed, purpose: purpose, epoch: epoch, sample: sample)
            return stream.next()
        }
        #expect(first(1, "a", 0, 0) == first(1, "a", 0, 0))
        #expect(
            Set([
                first(1, "a", 0, 0), first(2, "a", 0, 0), first(1, "b", 0, 0), first(1, "a", 1, 0), first(1, "a", 0, 1),
            ]).count == 5)
        var stream = RandomStream(seed: 4, purpose: "normal")
        let draws = (0..<20000).map { _ in stream.normal() }
        // The mean of 20,000 normal draws has deviation 0.007.
        #expect(abs(draws.reduce(0, +) / 20000) < 0.03)
        #expect(abs(draws.reduce(0) { $0 + $1 * $1 } / 20000 - 1) < 0.05)
    }

    @Test("A file is written whole or not at all")
    func atomicFile() throws {
        try Places.withFolder { folder in
            try AtomicFile.write("first", to: folder + "/a")
            struct Stop: Error {}
            #expect(throws: Failure.self) {
                try AtomicFile.write(to: folder + "/a") { file in
                    try file.write(contentsOf: Data("second".utf8))
                    throw Stop()
                }
            }
            #expect(try String(decoding: readFile(folder + "/a"), as: UTF8.self) == "first")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a"])
            #expect(throws: Failure.self) { try AtomicFile.write("x", to: "/no/such/folder/file") }
        }
    }

    @Test("JSON keeps its values through text")
    func json() throws {
        let value: JSON = ["a": [1, 2.5, "x\n\"é\"", true, .null], "b": ["c": -3]]
        #expect(try JSON(parsing: Data(value.text().utf8), path: "test") == value)
        #expect(try JSON(parsing: Data(value.text(indent: 2).utf8), path: "test") == value)
    }
}
