package import CCUDA
package import TensorCore

/// What a CUDA device needs of the world: a driver's work, or an emulator's. Work happens in the order of the calls.
package protocol CUDABackend: AnyObject, Sendable {
    var name: String { get }
    /// Bytes of shared memory that a block may have.
    var mostShared: Int { get }
    /// Why nothing more can be done.
    var failure: DeviceFailure? { get }

    /// nil where the card has no more.
    func allocate(_ bytes: Int) -> UInt?
    func free(_ address: UInt)
    /// The source may change as soon as the call returns.
    func upload(_ bytes: UnsafeRawBufferPointer, to address: UInt)
    /// Waits.
    func download(_ address: UInt, into bytes: UnsafeMutableRawBufferPointer)
    /// What stands at the places, of 4 or 8 bytes each, when the work before this call is done; the result waits.
    func read(_ places: [(address: UInt, bytes: Int)]) -> @Sendable () -> [UInt64]
    func copy(_ bytes: Int, from: UInt, to: UInt)
    func clear(_ address: UInt, bytes: Int)
    func launch(_ launch: KernelLaunch)
    func product(_ product: ccuda_product, _ operands: ProductOperands)
    func fence()
    func mark() -> (any TimeMark)?
}

/// Addresses of a product; 0 where there is none.
package struct ProductOperands: Sendable {
    package let a: UInt
    package let b: UInt
    package let bias: UInt
    package let residual: UInt
    package let c: UInt
}

/// One launch of a kernel.
package struct KernelLaunch {
    /// In Sources/CUDAKernels, without its suffix.
    package let file: String
    package let name: String
    /// Blocks along x, y, z.
    package let grid: (x: Int, y: Int, z: Int)
    /// Of a block.
    package let threads: Int
    /// Bytes of a block.
    package let shared: Int
    /// Each in 128 bytes of its own.
    private let values: [UInt64]
    private let count: Int
    private static let words = 16

    init(
        _ file: String, _ name: String, grid: (Int, Int, Int), threads: Int, shared: Int,
        _ arguments: [any KernelArgument]
    ) {
        (self.file, self.name, self.grid) = (file, name, grid)
        (self.threads, self.shared, count) = (threads, shared, arguments.count)
        var values = [UInt64](repeating: 0, count: arguments.count * Self.words)
        values.withUnsafeMutableBytes { bytes in
            for (index, argument) in arguments.enumerated() {
                argument.copy(into: UnsafeMutableRawBufferPointer(rebasing: bytes[(index * Self.words * 8)...]))
            }
        }
        self.values = values
    }

    /// The addresses of the arguments, as a launch takes them, and the grid.
    package func withArguments<Result>(
        _ body: (UnsafeMutablePointer<UnsafeMutableRawPointer?>?, [UInt32]) -> Result
    ) -> Result {
        var values = values
        return values.withUnsafeMutableBytes { bytes in
            var addresses = (0..<count).map { index in bytes.baseAddress.map { $0 + index * Self.words * 8 } }
            return addresses.withUnsafeMutableBufferPointer {
                body($0.baseAddress, [UInt32(grid.x), UInt32(grid.y), UInt32(grid.z)])
            }
        }
    }
}

/// A value that a kernel takes: bytes as they stand.
protocol KernelArgument {}

extension KernelArgument {
    func copy(into bytes: UnsafeMutableRawBufferPointer) {
        precondition(MemoryLayout<Self>.size <= 128, "an argument of a kernel has at most 128 bytes")
        withUnsafeBytes(of: self) { bytes.copyMemory(from: $0) }
    }
}

/// An address; 0 is none.
extension UInt: KernelArgument {}
extension UInt64: KernelArgument {}
extension Int32: KernelArgument {}
extension Float: KernelArgument {}
extension Double: KernelArgument {}
extension ccuda_attention_operands: KernelArgument {}
extension ccuda_attention_gradients: KernelArgument {}
extension ccuda_patches: KernelArgument {}
extension ccuda_map: KernelArgument {}
extension ccuda_hyper: KernelArgument {}
extension ccuda_slopes: KernelArgument {}
