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

    @Test("Weights keep their bits through a file, half precision rounds to nearest")
    func safetensors() throws {
        try Places.withFolder { folder in
            let values: [Float] = [1, -0.1, 65504, 1e-7, 3.1415927, -0, 0.00006103515625, 2049]
            try Safetensors.write(
                [
                    FileTensor("w", values, shape: [2, 4]), FileTensor("h", values, shape: [8], as: .float16),
                    FileTensor("b", values, shape: [8], as: .bfloat16), FileTensor("i", [1, -2, 3], shape: [3]),
                ], to: folder + "/x.safetensors")
            let file = try Safetensors(folder + "/x.safetensors")
            #expect(try file.floats("w").map(\.bitPattern) == values.map(\.bitPattern))
            #expect(try file.entry("w").shape == [2, 4])
            #expect(try file.integers("i") == [1, -2, 3])
            #expect(
                try file.floats("h") == [1, -0.099975586, 65504, 1.1920929e-07, 3.140625, -0, 0.00006103515625, 2048])
            #expect(
                try file.floats("b") == [
                    1.0, -0.100097656, 65536.0, 1.0011718e-07, 3.140625, -0.0, 6.1035156e-05, 2048.0,
                ])
        }
    }

    @Test(
        "A damaged weight file is an error that names it",
        arguments: ["", "short", "\u{FF}\u{FF}\u{FF}\u{FF}\u{FF}\u{FF}\u{FF}\u{7F}{}", "\u{2}\0\0\0\0\0\0\0[]"])
    func damagedSafetensors(_ content: String) throws {
        try Places.withFolder { folder in
            try AtomicFile.write(
                Data(content.unicodeScalars.map { UInt8($0.value & 0xFF) }), to: folder + "/bad.safetensors")
            let failure = #expect(throws: Failure.self) { try Safetensors(folder + "/bad.safetensors") }
            #expect(failure?.kind == .badData)
            #expect(failure?.subject == folder + "/bad.safetensors")
        }
    }

    @Test("Offsets that do not fit a tensor's shape are refused")
    func wrongOffsets() throws {
        try Places.withFolder { folder in
            let header = #"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}}"#
            var data = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
            data.append(Data(header.utf8))
            data.append(Data(count: 16))
            try AtomicFile.write(data, to: folder + "/bad.safetensors")
            let failure = #expect(throws: Failure.self) { try Safetensors(folder + "/bad.safetensors") }
            #expect(failure?.problem == "tensor w: data_offsets [0, 12] do not fit its shape or the file")
        }
    }

    @Test("A wrong key names file, line and a suggestion")
    func unknownKey() throws {
        try Places.withFolder { folder in
            try AtomicFile.write("a: 1\noptimizer:\n  rate: 0.1\n  weight_decy: 2\n", to: folder + "/x.yaml")
            let section = try Section(file: folder + "/x.yaml")
            _ = try section.integer("a")
            let optimizer = try section.section("optimizer")
            _ = try optimizer.number("rate")
            _ = try optimizer.number("weight_decay", default: 0)
            let failure = #expect(throws: Failure.self) { try section.finish() }
            #expect(
                failure?.description
                    == "\(folder)/x.yaml:4: unknown key optimizer.weight_decy. Did you mean weight_decay?")
        }
    }

    @Test("A value of the wrong type names file, line and key")
    func wrongType() throws {
        try Places.withFolder { folder in
            try AtomicFile.write("a: 1\nb: many\n", to: folder + "/x.yaml")
            let section = try Section(file: folder + "/x.yaml")
            let failure = #expect(throws: Failure.self) { try section.integer("b") }
            #expect(failure?.description == "\(folder)/x.yaml:2: b: needs an integer.")
        }
    }
}
