import Foundation
import StrictYAML
import Support
import TestKit
import Testing
import Weights

@Suite struct SafetensorsTests {
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
}
