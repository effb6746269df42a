import Foundation
import Support
import TensorCore

/// Element types that weight files hold.
public enum FileElement: String, Sendable {
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case float64 = "F64"
    case int32 = "I32"
    case int64 = "I64"
    case uint8 = "U8"

    public var size: Int {
        switch self {
        case .uint8: 1
        case .float16, .bfloat16: 2
        case .float32, .int32: 4
        case .float64, .int64: 8
        }
    }
}

/// A safetensors file, checked when opened: an 8-byte little-endian header length, a JSON header of
/// {name: {dtype, shape, data_offsets}}, then the data, row-major and little-endian.
public struct Safetensors: Sendable {
    public struct Entry: Sendable {
        public let element: FileElement
        public let shape: [Int]
        let range: Range<Int>
        public var count: Int { shape.reduce(1, *) }
    }

    public let path: String
    public let entries: [String: Entry]
    public let metadata: [String: String]
    private let data: Data

    /// - Throws: `Failure(.inputMissing)`, or `Failure(.badData)` naming the tensor whose type, shape or
    ///   offsets are wrong.
    public init(_ path: String) throws {
        self.path = path
        let bytes = try readFile(path)
        func bad(_ problem: String) -> Failure {
            Failure(.badData, path, problem, remedy: "The file is damaged or is no safetensors file")
        }
        guard bytes.count >= 8 else { throw bad("only \(bytes.count) bytes long") }
        let length = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard length <= UInt64(bytes.count - 8), length <= 100_000_000 else {
            throw bad("the header is said to take \(length) bytes, the file has \(bytes.count)")
        }
        let start = 8 + Int(length)
        guard case .object(let header) = try JSON(parsing: bytes.subdata(in: 8..<start), path: path) else {
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
            guard let element = FileElement(rawValue: type) else {
                throw Failure(.badData, path, "tensor \(name): cannot read elements of type \(type)")
            }
            var count = element.size
            for case let size in shape {
                guard let size, size >= 0, case let (product, overflow) = count.multipliedReportingOverflow(by: size),
                    !overflow
                else { throw bad("tensor \(name): impossible shape") }
                count = product
            }
            guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= bytes.count - start,
                offsets[1] - offsets[0] == count
            else { throw bad("tensor \(name): data_offsets \(offsets) do not fit its shape or the file") }
            entries[name] = Entry(
                element: element, shape: shape.compactMap { $0 }, range: start + offsets[0]..<start + offsets[1])
        }
        let ranges = entries.values.map(\.range).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
        for (first, second) in zip(ranges, ranges.dropFirst()) where second.lowerBound < first.upperBound {
            throw bad("two tensors overlap at byte \(second.lowerBound)")
        }
        self.entries = entries
        self.metadata = metadata
        data = bytes
    }

    public var names: [String] { entries.keys.sorted() }

    /// - Throws: `Failure(.badData)` naming a tensor that is not there.
    public func entry(_ name: String) throws -> Entry {
        guard let entry = entries[name] else {
            let hint = didYouMean(name, among: entries.keys).map { "Did you mean \($0)?" } ?? ""
            throw Failure(.badData, path, "has no tensor \(name)", remedy: hint)
        }
        return entry
    }

    /// The values as float32, exactly (float64 rounded, integers converted).
    public func floats(_ name: String) throws -> [Float] {
        let entry = try entry(name)
        return data.withUnsafeBytes { bytes in
            let base = UnsafeRawBufferPointer(rebasing: bytes[entry.range])
            func load<Value>(_: Value.Type, _ convert: (Value) -> Float) -> [Float] {
                (0..<entry.count).map {
                    convert(base.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: Value.self))
                }
            }
            switch entry.element {
            case .float32:
                return [Float](unsafeUninitializedCapacity: entry.count) { buffer, count in
                    if entry.count > 0 { memcpy(buffer.baseAddress!, base.baseAddress!, entry.range.count) }
                    count = entry.count
                }
            case .float16: return load(UInt16.self) { Float16Bits.float($0) }
            case .bfloat16: return load(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
            case .float64: return load(Double.self) { Float($0) }
            case .int32: return load(Int32.self) { Float($0) }
            case .int64: return load(Int64.self) { Float($0) }
            case .uint8: return load(UInt8.self) { Float($0) }
            }
        }
    }

    /// - Throws: `Failure(.badData)` when the tensor does not hold integers.
    public func integers(_ name: String) throws -> [Int] {
        let entry = try entry(name)
        return try data.withUnsafeBytes { bytes in
            let base = UnsafeRawBufferPointer(rebasing: bytes[entry.range])
            func load<Value: BinaryInteger>(_: Value.Type) -> [Int] {
                (0..<entry.count).map {
                    Int(base.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: Value.self))
                }
            }
            switch entry.element {
            case .int32: return load(Int32.self)
            case .int64: return load(Int64.self)
            case .uint8: return load(UInt8.self)
            case .float32, .float16, .bfloat16, .float64:
                throw Failure(.badData, path, "tensor \(name) holds \(entry.element.rawValue), integers are needed")
            }
        }
    }

    public func tensor(_ name: String, on device: any Device) throws -> Tensor {
        device.tensor(try floats(name), shape: try entry(name).shape)
    }
}

/// A tensor on its way into a file.
public struct FileTensor: Sendable {
    public let name: String
    public let element: FileElement
    public let shape: [Int]
    /// Little-endian bytes, made when they are written: a model's weights are never held twice.
    let bytes: @Sendable () -> Data

    public init(_ name: String, _ values: [Float], shape: [Int], as element: FileElement = .float32) {
        self.init(name, shape: shape, as: element) { values }
    }

    public init(
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
    public init(_ name: String, counter: Int64) {
        self.name = name
        element = .int64
        shape = []
        bytes = { withUnsafeBytes(of: counter.littleEndian) { Data($0) } }
    }

    public init(_ name: String, _ values: [Int32], shape: [Int]) {
        self.name = name
        element = .int32
        self.shape = shape
        bytes = { values.withUnsafeBufferPointer { Data(buffer: $0) } }
    }
}

extension Safetensors {
    /// Writes the file whole or not at all; the header is padded to 8 bytes and names its format "pt",
    /// as PyTorch's readers want.
    public static func write(_ tensors: [FileTensor], to path: String, metadata: [String: String] = ["format": "pt"])
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
