package import CCUDA
import Foundation
import Support
import Synchronization
package import TensorCore

/// One GPU through NVIDIA's driver.
package final class CUDADriver: CUDABackend, @unchecked Sendable {
    private let facts: ccuda_facts
    private let kernels: KernelLibrary
    private let (work, copies): (ccuda_stream, ccuda_stream)
    private let lock = Mutex(())
    private var found: DeviceFailure?
    private var plans: [ProductKey: OpaquePointer] = [:]
    private var marks: [ccuda_event] = []
    private var slots: [PinnedSlot] = []
    private var staging: Staging
    /// Of cuBLASLt's algorithms.
    private let workspace: (address: UInt, bytes: Int)

    /// - Parameter index: of the card, as the driver counts those that CUDA_VISIBLE_DEVICES leaves
    /// - Throws: `Failure(.machine)` without a driver, a card, cuBLASLt or NVRTC
    package init(index: Int = 0) throws {
        try CUDALibraries.open()
        var facts = ccuda_facts()
        let status = ccuda_start(Int32(index), &facts)
        guard status == 0 else {
            throw Failure(
                .machine, "cuda:\(index)", "the driver says: \(String(cString: ccuda_meaning(status)))",
                remedy:
                    "Look at nvidia-smi: a card of compute capability 8.0 or later and driver 580 or later are needed")
        }
        guard facts.major >= 8 else {
            throw Failure(
                .machine, "cuda:\(index)",
                "has compute capability \(facts.major).\(facts.minor); 8.0 or later is needed (Ampere)")
        }
        self.facts = facts
        kernels = try KernelLibrary(facts)
        var (work, copies): (ccuda_stream?, ccuda_stream?)
        guard ccuda_make_stream(&work) == 0, ccuda_make_stream(&copies) == 0, let work, let copies else {
            throw Failure(.machine, "cuda:\(index)", "gives no stream of work")
        }
        (self.work, self.copies) = (work, copies)
        staging = Staging(work: work, copies: copies)
        var address: ccuda_address = 0
        let bytes = 64 << 20
        guard ccuda_allocate(&address, bytes) == 0 else {
            throw Failure(.machine, "cuda:\(index)", "has no memory free", remedy: "See nvidia-smi for who uses it")
        }
        workspace = (UInt(address), bytes)
    }

    package var name: String {
        let name = withUnsafeBytes(of: facts.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return "cuda (\(name))"
    }

    package var mostShared: Int { facts.most_shared }

    /// Compute capability, multiprocessors, bytes, and what the driver supports (13000 for CUDA 13).
    package var properties: (capability: (Int, Int), processors: Int, memory: Int, driver: Int) {
        ((Int(facts.major), Int(facts.minor)), Int(facts.processors), facts.memory, Int(facts.driver))
    }

    package var failure: DeviceFailure? { lock.withLock { _ in found } }

    /// Remembers the first status that is none of success; nothing is asked for after it.
    private func check(_ status: Int32, _ what: @autoclosure () -> String) {
        guard status != 0, found == nil else { return }
        found = DeviceFailure(
            "is lost: \(what()) failed (\(String(cString: ccuda_meaning(status))))",
            remedy: "The system's log has the driver's reason; --resume goes on from the last checkpoint",
            keepsValues: false)
    }

    private func asking(_ what: @autoclosure () -> String, _ body: () -> Int32) {
        lock.withLock { _ in
            if found == nil { check(body(), what()) }
        }
    }

    package func allocate(_ bytes: Int) -> UInt? {
        lock.withLock { _ in
            var address: ccuda_address = 0
            let status = ccuda_allocate(&address, bytes)
            let outOfMemory: Int32 = 2
            if status != outOfMemory { check(status, "asking for memory") }
            return status == 0 ? UInt(address) : nil
        }
    }

    package func free(_ address: UInt) { asking("giving memory back") { ccuda_free(UInt64(address)) } }

    package func upload(_ bytes: UnsafeRawBufferPointer, to address: UInt) {
        asking("a copy to the card") { staging.upload(bytes, to: address) }
    }

    package func download(_ address: UInt, into bytes: UnsafeMutableRawBufferPointer) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        asking("a copy from the card") {
            let status = ccuda_copy_out(start, UInt64(address), bytes.count, work)
            return status != 0 ? status : ccuda_wait_stream(work)
        }
    }

    package func read(_ places: [(address: UInt, bytes: Int)]) -> @Sendable () -> [UInt64] {
        let reading = PinnedReading(count: places.count, self)
        asking("a reading") {
            var status = slots.isEmpty ? PinnedSlot.make(&reading.slot) : 0
            if reading.slot == nil { reading.slot = slots.popLast() }
            guard status == 0, let slot = reading.slot else { return status }
            precondition(
                places.count * 8 <= PinnedSlot.bytes, "at most \(PinnedSlot.bytes / 8) values are read at once")
            for (index, place) in places.enumerated() where status == 0 {
                status = ccuda_copy_out(slot.start + 8 * index, UInt64(place.address), place.bytes, work)
            }
            return status == 0 ? ccuda_record(slot.event, work) : status
        }
        return { [self] in
            asking("a reading") { reading.wait() }
            return failure == nil ? reading.values : places.map { _ in Double.nan.bitPattern }
        }
    }

    fileprivate func takeBack(_ slot: PinnedSlot) { lock.withLock { _ in slots.append(slot) } }

    package func copy(_ bytes: Int, from: UInt, to: UInt) {
        if bytes > 0 { asking("a copy") { ccuda_copy(UInt64(to), UInt64(from), bytes, work) } }
    }

    package func clear(_ address: UInt, bytes: Int) {
        if bytes > 0 { asking("clearing memory") { ccuda_clear(UInt64(address), bytes, work) } }
    }

    package func launch(_ launch: KernelLaunch) {
        lock.withLock { _ in
            guard found == nil else { return }
            do {
                let function = try kernels.function(launch.file, launch.name)
                let status = launch.withArguments { arguments, grid in
                    ccuda_launch(function, grid, UInt32(launch.threads), UInt32(launch.shared), work, arguments)
                }
                check(status, "\(launch.name) on \(launch.grid) blocks")
            } catch { found = DeviceFailure("\(error)", keepsValues: false) }
        }
    }

    package func product(_ product: ccuda_product, _ operands: ProductOperands) {
        lock.withLock { _ in
            guard found == nil else { return }
            do {
                let status = try run(product, operands, plan(of: product.rounded))
                if status == 0 { return }
                // The algorithm of sizes near by may not do for these.
                let own = try run(product, operands, plan(of: product))
                if own != 0 { throw Failure(.machine, "cuBLASLt", "failed (status \(own)) at \(ProductKey(product))") }
            } catch { found = DeviceFailure("\(error)", keepsValues: false) }
        }
    }

    private func plan(of product: ccuda_product) throws -> OpaquePointer? {
        let key = ProductKey(product)
        if let known = plans[key] { return known }
        var (product, plan): (ccuda_product, OpaquePointer?) = (product, nil)
        let status = ccuda_plan_product(&product, workspace.bytes, &plan)
        guard status == 0, plan != nil else {
            throw Failure(.machine, "cuBLASLt", "has no way (status \(status)) for \(key)")
        }
        plans[key] = plan
        return plan
    }

    /// - Returns: cuBLASLt's status
    private func run(_ product: ccuda_product, _ operands: ProductOperands, _ plan: OpaquePointer?) -> Int32 {
        withUnsafePointer(to: product) { product in
            ccuda_run_product(
                plan, product, UInt64(operands.a), UInt64(operands.b), UInt64(operands.bias),
                UInt64(operands.residual), UInt64(operands.c), UInt64(workspace.address), workspace.bytes, work)
        }
    }

    package func fence() { asking("waiting") { ccuda_wait_stream(work) } }

    package func mark() -> (any TimeMark)? {
        var event: ccuda_event?
        asking("a mark") {
            event = marks.popLast()
            if event == nil, case let status = ccuda_make_event(&event, 1), status != 0 { return status }
            return ccuda_record(event, work)
        }
        return event.map { EventMark($0, self) }
    }

    fileprivate func takeBack(_ event: ccuda_event) { lock.withLock { _ in marks.append(event) } }
}

extension ccuda_product {
    /// Many rows, or many that are summed over (packed captions: another number every step), rounded up, so that few
    /// algorithms are asked for and the same one is found whatever came before.
    fileprivate var rounded: ccuda_product {
        var rounded = self
        let step: Int32 = 512
        if m > 4 * step { rounded.m = (m + step - 1) / step * step }
        if k > 4 * step { rounded.k = (k + step - 1) / step * step }
        return rounded
    }
}

/// A product's kind, by value.
private struct ProductKey: Hashable, CustomStringConvertible {
    private let values: [Int32]

    init(_ p: ccuda_product) {
        values = [
            p.m, p.n, p.k, p.transposed_a, p.transposed_b, p.operands, p.result, p.tf32, p.bias, p.adds, p.aligned_a,
            p.aligned_b, p.aligned_c, p.adds == 0 ? 0 : p.aligned_residual,
        ]
    }

    var description: String {
        "a product of \(values[0]) x \(values[1]) x \(values[2]) (\(values[3...].map(String.init).joined(separator: " ")))"
    }
}

private final class EventMark: TimeMark, @unchecked Sendable {
    private let event: ccuda_event
    private let driver: CUDADriver

    init(_ event: ccuda_event, _ driver: CUDADriver) { (self.event, self.driver) = (event, driver) }

    deinit { driver.takeBack(event) }

    func seconds(since earlier: any TimeMark) -> Double {
        guard let earlier = earlier as? EventMark else { return .nan }
        var milliseconds = Float.nan
        guard ccuda_wait_event(event) == 0, ccuda_milliseconds(&milliseconds, earlier.event, event) == 0 else {
            return .nan
        }
        return Double(milliseconds) / 1000
    }
}

/// Memory of the host that the card writes to.
private struct PinnedSlot: @unchecked Sendable {
    static let bytes = 4096
    let start: UnsafeMutableRawPointer
    let event: ccuda_event

    /// - Returns: the driver's status
    static func make(_ slot: inout PinnedSlot?) -> Int32 {
        var (start, event): (UnsafeMutableRawPointer?, ccuda_event?)
        var status = ccuda_allocate_host(&start, bytes)
        if status == 0 { status = ccuda_make_event(&event, 0) }
        if let start, let event { slot = PinnedSlot(start: start, event: event) }
        return status
    }
}

/// Values on their way to the host.
private final class PinnedReading: @unchecked Sendable {
    private let count: Int
    private let driver: CUDADriver
    var slot: PinnedSlot?

    init(count: Int, _ driver: CUDADriver) { (self.count, self.driver) = (count, driver) }

    deinit {
        guard let slot else { return }
        _ = ccuda_wait_event(slot.event)
        driver.takeBack(slot)
    }

    func wait() -> Int32 { slot.map { ccuda_wait_event($0.event) } ?? 0 }

    var values: [UInt64] {
        (0..<count).map { index in slot?.start.load(fromByteOffset: 8 * index, as: UInt64.self) ?? 0 }
    }
}
