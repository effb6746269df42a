// Where memory begins. An empty buffer may have no address, and nobody who asks for one has an empty buffer.

extension UnsafeRawBufferPointer {
    package var start: UnsafeRawPointer {
        guard let baseAddress else { preconditionFailure("an empty buffer has no start") }
        return baseAddress
    }
}

extension UnsafeMutableRawBufferPointer {
    package var start: UnsafeMutableRawPointer {
        guard let baseAddress else { preconditionFailure("an empty buffer has no start") }
        return baseAddress
    }
}

extension UnsafeBufferPointer {
    package var start: UnsafePointer<Element> {
        guard let baseAddress else { preconditionFailure("an empty buffer has no start") }
        return baseAddress
    }
}

extension UnsafeMutableBufferPointer {
    package var start: UnsafeMutablePointer<Element> {
        guard let baseAddress else { preconditionFailure("an empty buffer has no start") }
        return baseAddress
    }
}

extension Unicode.Scalar {
    /// The scalar of a code point that is one.
    package init(point: some BinaryInteger) {
        guard let scalar = Unicode.Scalar(UInt32(point)) else { preconditionFailure("\(point) is no scalar") }
        self = scalar
    }
}
