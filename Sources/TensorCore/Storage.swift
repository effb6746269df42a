/// Device memory of one or more tensors; given back, in the order of the device's work, when the last of them goes.
package final class Storage: @unchecked Sendable {
    package let device: any Device
    package let element: Element
    /// Elements, not bytes: a device may hold a float32 in more than four (the reference device does).
    package let count: Int
    package let address: UnsafeMutableRawPointer

    init(device: any Device, element: Element, count: Int) {
        self.device = device
        self.element = element
        self.count = count
        address = device.allocate(element, count: count)
    }

    deinit { device.release(address, element, count: count) }
}
