package import TensorCore

/// Something with parameters. `visit` goes through them in the order in which they are declared.
package protocol Module: Sendable {
    mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows
}

extension Module {
    /// What is learned.
    package var parameters: [Parameter] { state.filter { $0.role == .learned } }

    /// Everything a weight file holds: parameters and buffers.
    package var state: [Parameter] {
        var copy = self
        var found: [Parameter] = []
        copy.visit { found.append($0) }
        return found
    }

    package var parameterCount: Int { parameters.reduce(0) { $0 + $1.value.count } }

    /// A copy whose parameters collect gradients, all but the frozen ones.
    ///
    /// - Parameter element: what it computes in
    package func watched(as element: Element = .float32, except isFrozen: (String) -> Bool = { _ in false }) -> Self {
        var copy = self
        copy.visit { if $0.role == .learned { $0.watch(isFrozen: isFrozen($0.name), as: element) } }
        return copy
    }
}

extension Parameter: Module {
    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows { try body(&self) }
}

/// Of a part that a model may lack.
extension Optional: Module where Wrapped: Module {
    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        guard case .some(var part) = self else { return }
        try part.visit(body)
        self = part
    }
}

extension Array: Module where Element: Module {
    package mutating func visit(_ body: (inout Parameter) throws -> Void) rethrows {
        for index in indices { try self[index].visit(body) }
    }
}
