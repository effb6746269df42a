import Foundation
import Support
package import TensorCore

/// Element types that weight files hold.
package enum FileElement: String, Sendable {
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case float64 = "F64"
    case int32 = "I32"
    case int64 = "I64"
    case uint8 = "U8"

    package var size: Int {
        switch self {
        case .uint8: 1
        case .float16, .bfloat16: 2
        case .float32, .int32: 4
        case .float64, .int64: 8
        }
    }
}

/// A safetensors file, checked when opened: an 8-byte little-endian header length, a JSON header of
/// {name: {dtype, shape, data_offsets}}, then the data, row-major and little-endian. Or several files with an index of
/// them, as transformers writes large models.
package struct Safetensors: Sendable {
    package struct Entry: Sendable {
        /// nil for a type that is not read; the file may hold such tensors as long as nobody asks for them.
        package let element: FileElement?
        /// As the file says it, such as `F8_E4M3`.
        package let typeName: String
        package let shape: [Int]
        let range: Range<Int>
        let file: InputFile
        package var count: Int { shape.reduce(1, *) }
    }

    package let path: String
    package let entries: [String: Entry]
    package let metadata: [String: String]

    /// - Parameter path: a .safetensors file, or a .safetensors.index.json
    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming the tensor whose type, shape or
    ///   offsets are wrong.
    package init(_ path: String) throws {
        self.path = path
        if path.hasSuffix(".json") {
            entries = try Self.indexed(path)
            metadata = [:]
        } else {
            (entries, metadata) = try Self.header(of: path)
        }
    }

    /// The tensors of {"weight_map": {tensor: file}}, files beside the index.
    private static func indexed(_ path: String) throws -> [String: Entry] {
        guard let map = try JSON(file: path)["weight_map"]?.object, !map.isEmpty else {
            throw Failure(.badData, path, "has no weight_map")
        }
        var parts: [String: [String: Entry]] = [:]
        var entries: [String: Entry] = [:]
        for (name, place) in map.sorted(by: { $0.key < $1.key }) {
            guard let file = place.string else { throw Failure(.badData, path, "weight_map.\(name) names no file") }
            if parts[file] == nil {
                parts[file] = try header(of: Files.inside(Files.parent(of: path).nonEmptyFolder, file, of: path))
                    .entries
            }
            guard let entry = parts[file]?[name] else {
                throw Failure(.badData, path, "weight_map says that \(file) holds \(name), which it does not")
            }
            entries[name] = entry
        }
        // What the index does not name is there all the same: whoever loads the model says what has no place in it.
        for held in parts.values { entries.merge(held) { named, _ in named } }
        return entries
    }

    private static func header(of path: String) throws -> (entries: [String: Entry], metadata: [String: String]) {
        let file = try InputFile(path)
        func bad(_ problem: String) -> Failure {
            Failure(.badData, path, problem, remedy: "The file is damaged or is no safetensors file")
        }
        guard file.length >= 8 else { throw bad("only \(file.length) bytes long") }
        if try file.read(0, min(40, file.length)).starts(with: Data("version https://git-lfs".utf8)) {
            throw Failure(.badData, path, "is a Git LFS pointer, not the file", remedy: "Fetch it: git lfs pull")
        }
        let length = try file.read(0, 8).withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(file.length - 8), length <= 100_000_000 else {
            throw bad("the header is said to take \(length) bytes, the file has \(file.length)")
        }
        let start = 8 + Int(length)
        guard case .object(let header) = try JSON(parsing: file.read(8, Int(length)), path: path) else {
            throw bad("the header is not a JSON object")
        }
        var entries: [String: Entry] = [:]
        var metadata: [String: String] = [:]
        for (name, value) in header {
            if name == "__metadata__" {
                metadata = (value.object ?? [:]).compactMapValues(\.string)
                continue
            }
            guard let type = value["dtype"]?.string, let shape = value["shape"]?.array?.map(\.integer),
                let offsets = value["data_offsets"]?.array?.compactMap(\.integer), offsets.count == 2
            else { throw bad("tensor \(name): dtype, shape or data_offsets is missing") }
            let element = FileElement(rawValue: type)
            var count = element?.size ?? 1
            for case let size in shape {
                guard let size, size >= 0, case let (product, overflow) = count.multipliedReportingOverflow(by: size),
                    !overflow
                else { throw bad("tensor \(name): impossible shape") }
                count = product
            }
            guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= file.length - start,
                element == nil || offsets[1] - offsets[0] == count
            else { throw bad("tensor \(name): data_offsets \(offsets) do not fit its shape or the file") }
            entries[name] = Entry(
                element: element, typeName: type, shape: shape.compactMap { $0 },
                range: start + offsets[0]..<start + offsets[1], file: file)
        }
        let ranges = entries.values.map(\.range).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
        for (first, second) in zip(ranges, ranges.dropFirst()) where second.lowerBound < first.upperBound {
            throw bad("two tensors overlap at byte \(second.lowerBound)")
        }
        return (entries, metadata)
    }

    package var names: [String] { entries.keys.sorted() }

    /// - Throws: `Failure(.badData)` naming a tensor that is not there.
    package func entry(_ name: String) throws -> Entry {
        guard let entry = entries[name] else {
            let hint = didYouMean(name, among: entries.keys).map { "Did you mean \($0)?" } ?? ""
            throw Failure(.badData, path, "has no tensor \(name)", remedy: hint)
        }
        return entry
    }

    private func known(_ name: String) throws -> (entry: Entry, element: FileElement) {
        let entry = try entry(name)
        guard let element = entry.element else {
            throw Failure(.badData, entry.file.path, "tensor \(name): cannot read elements of type \(entry.typeName)")
        }
        return (entry, element)
    }

    /// The values as float32, exactly (float64 rounded, integers converted).
    package func floats(_ name: String) throws -> [Float] {
        let (entry, element) = try known(name)
        if element == .float32 {
            return try [Float](unsafeUninitializedCapacity: entry.count) { buffer, count in
                try entry.file.read(
                    entry.range.lowerBound,
                    into: UnsafeMutableRawBufferPointer(
                        rebasing:
                            UnsafeMutableRawBufferPointer(buffer)[0..<entry.range.count]))
                count = entry.count
            }
        }
        return try entry.file.read(entry.range.lowerBound, entry.range.count).withUnsafeBytes { base in
            func load<Value>(_: Value.Type, _ convert: (Value) -> Float) -> [Float] {
                (0..<entry.count).map {
                    convert(base.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: Value.self))
                }
            }
            switch element {
            case .float32: return load(Float.self) { $0 }
            case .float16: return load(UInt16.self) { Float16Bits.float($0) }
            case .bfloat16: return load(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
            case .float64: return load(Double.self) { Float($0) }
            case .int32: return load(Int32.self) { Float($0) }
            case .int64: return load(Int64.self) { Float($0) }
            case .uint8: return load(UInt8.self) { Float($0) }
            }
        }
    }

    /// The same of a tensor that must hold numbers only.
    ///
    /// - Throws: `Failure(.badData)` naming the first element that is NaN or infinite
    package func finiteFloats(_ name: String) throws -> [Float] {
        let values = try floats(name)
        if let place = values.firstNonFinite {
            throw Failure(
                .badData, path, "tensor \(name) is not finite: element \(place) is \(values[place])",
                remedy: "Take a checkpoint from before the weights diverged, or fetch the file again")
        }
        return values
    }

    /// - Throws: `Failure(.badData)` when the tensor does not hold integers.
    package func integers(_ name: String) throws -> [Int] {
        let (entry, element) = try known(name)
        return try entry.file.read(entry.range.lowerBound, entry.range.count).withUnsafeBytes { base in
            func load<Value: BinaryInteger>(_: Value.Type) -> [Int] {
                (0..<entry.count).map {
                    Int(base.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: Value.self))
                }
            }
            switch element {
            case .int32: return load(Int32.self)
            case .int64: return load(Int64.self)
            case .uint8: return load(UInt8.self)
            case .float32, .float16, .bfloat16, .float64:
                throw Failure(.badData, path, "tensor \(name) holds \(entry.typeName), integers are needed")
            }
        }
    }

    package func tensor(_ name: String, on device: any Device) throws -> Tensor {
        device.tensor(try floats(name), shape: try entry(name).shape)
    }
}

extension String {
    /// A folder's path that "/" and a name may follow.
    fileprivate var nonEmptyFolder: String { isEmpty ? "." : self }
}

/// A tensor on its way into a file.
package struct FileTensor: Sendable {
    package let name: String
    package let element: FileElement
    package let shape: [Int]
    /// Little-endian bytes, made when they are written: a model's weights are never held twice.
    let bytes: @Sendable () -> Data

    package init(_ name: String, _ values: [Float], shape: [Int], as element: FileElement = .float32) {
        self.init(name, shape: shape, as: element) { values }
    }

    package init(
        _ name: String, shape: [Int], as element: FileElement = .float32, _ values: @escaping @Sendable () -> [Float]
    ) {
        self.name = name
        self.element = element
        self.shape = shape
        bytes = {
            switch element {
            case .float32: return values().withUnsafeBufferPointer { Data(buffer: $0) }
            case .float16: return values().map(Float16Bits.bits).withUnsafeBufferPointer { Data(buffer: $0) }
            case .bfloat16: return values().map(BFloat16Bits.bits).withUnsafeBufferPointer { Data(buffer: $0) }
            case .float64, .int32, .int64, .uint8:
                preconditionFailure("float values are written as F32, F16 or BF16, not \(element.rawValue)")
            }
        }
    }

    /// A scalar int64.
    package init(_ name: String, counter: Int64) {
        self.name = name
        element = .int64
        shape = []
        bytes = { withUnsafeBytes(of: counter.littleEndian) { Data($0) } }
    }

    package init(_ name: String, _ values: [Int32], shape: [Int]) {
        self.name = name
        element = .int32
        self.shape = shape
        bytes = { values.withUnsafeBufferPointer { Data(buffer: $0) } }
    }
}

extension Safetensors {
    /// Writes the file whole or not at all; the header is padded to 8 bytes and names its format "pt",
    /// as PyTorch's readers want.
    package static func write(_ tensors: [FileTensor], to path: String, metadata: [String: String] = ["format": "pt"])
        throws
    {
        var header: [String: JSON] = ["__metadata__": .object(metadata.mapValues { .string($0) })]
        var offset = 0
        let ordered = tensors.sorted { $0.name < $1.name }
        for tensor in ordered {
            precondition(header[tensor.name] == nil, "tensor \(tensor.name) is written twice")
            let end = offset + tensor.shape.reduce(tensor.element.size, *)
            header[tensor.name] = [
                "dtype": .string(tensor.element.rawValue), "shape": .array(tensor.shape.map { .integer($0) }),
                "data_offsets": [.integer(offset), .integer(end)],
            ]
            offset = end
        }
        var text = Data(JSON.object(header).text().utf8)
        text.append(Data(repeating: 0x20, count: (8 - text.count % 8) % 8))
        try AtomicFile.write(to: path) { file in
            var length = UInt64(text.count).littleEndian
            try file.write(contentsOf: withUnsafeBytes(of: &length) { Data($0) })
            try file.write(contentsOf: text)
            for tensor in ordered { try file.write(contentsOf: tensor.bytes()) }
        }
    }
}

/// IEEE half precision as bits; Swift's Float16 is missing on some platforms.
enum Float16Bits {
    static func float(_ bits: UInt16) -> Float {
        let sign: Float = bits & 0x8000 == 0 ? 1 : -1
        let exponent = Int(bits >> 10 & 0x1F)
        let fraction = Float(bits & 0x3FF)
        switch exponent {
        case 0: return sign * fraction * 0x1p-24
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default: return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
        }
    }

    /// Rounds to nearest, ties to even; too large becomes infinity.
    static func bits(_ value: Float) -> UInt16 {
        let sign = UInt16(value.bitPattern >> 16 & 0x8000)
        if value.isNaN { return sign | 0x7E00 }
        let magnitude = abs(value)
        if magnitude >= 65520 { return sign | 0x7C00 }
        if magnitude < 0x1p-14 { return sign | UInt16((magnitude * 0x1p24).rounded(.toNearestOrEven)) }
        let scale = Float(sign: .plus, exponent: 10 - Int(magnitude.exponent), significand: 1)
        let rounded = UInt32((magnitude * scale).rounded(.toNearestOrEven))  // 1024...2048
        return sign | UInt16(UInt32(Int(magnitude.exponent) + 14) << 10 + rounded)
    }
}

enum BFloat16Bits {
    /// Rounds to nearest, ties to even.
    static func bits(_ value: Float) -> UInt16 {
        if value.isNaN { return 0x7FC0 }
        let bits = value.bitPattern
        return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
    }
}
