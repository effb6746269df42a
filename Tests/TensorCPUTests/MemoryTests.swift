import Support
import TensorCPU
import TensorCore
import Testing

@Suite struct MemoryTests {
    @Test("Buffers of the CPU never overlap, whatever the order they come and go in")
    func buffers() {
        let device = CPUDevice(threads: 1)
        var stream = RandomStream(seed: 0, purpose: "buffers")
        var held: [(address: UnsafeMutableRawPointer, count: Int, mark: Int32)] = []
        func isWhole(_ index: Int) -> Bool {
            let buffer = held[index]
            let values = UnsafeBufferPointer(
                start: buffer.address.assumingMemoryBound(to: Int32.self), count: buffer.count)
            return values.allSatisfy { $0 == buffer.mark }
        }
        for mark in 0..<2000 {
            if held.count > 40 || (!held.isEmpty && stream.uniform() < 0.4) {
                let index = stream.integer(below: held.count)
                #expect(isWhole(index))
                let buffer = held.remove(at: index)
                device.release(buffer.address, .int32, count: buffer.count)
            } else {
                let count =
                    stream.integer(below: 10) == 0 ? stream.integer(below: 3_000_000) : stream.integer(below: 3000)
                let address = device.allocate(.int32, count: count)
                #expect(UInt(bitPattern: address) % 64 == 0)
                address.assumingMemoryBound(to: Int32.self).initialize(repeating: Int32(mark), count: count)
                held.append((address, count, Int32(mark)))
            }
        }
        #expect(held.indices.allSatisfy(isWhole))
        for buffer in held { device.release(buffer.address, .int32, count: buffer.count) }
    }

    @Test("Neighbours given back are one piece again: a buffer of both sizes fits where they lay")
    func joining() {
        let device = CPUDevice(threads: 1)
        let first = device.allocate(.int32, count: 1000)
        let second = device.allocate(.int32, count: 500)
        let third = device.allocate(.int32, count: 500)
        device.release(first, .int32, count: 1000)
        device.release(second, .int32, count: 500)
        #expect(device.allocate(.int32, count: 1500) == first)
        device.release(third, .int32, count: 500)
    }
}
