/// A tensor of a model under its name in the weight file (open_clip's).
package struct Parameter: Sendable {
    package enum Role: Sendable {
        case learned
        /// Kept with the model and followed in training, not learned: running statistics.
        case buffer
        /// A buffer that counts; files hold it as an int64.
        case counter
    }

    package let name: String
    /// What a tower computes with, any shape.
    package var value: Tensor
    package let role: Role
    /// Stays as it is in the training at hand.
    package private(set) var isFrozen = false
    /// The float32 values that gradients are collected for.
    private var leaf: Tensor?

    package init(name: String, value: Tensor, role: Role = .learned) {
        self.name = name
        self.value = value
        self.role = role
    }

    /// The float32 values that a step changes, any shape.
    package var master: Tensor { (leaf ?? value).detached }

    /// What `backward` has left here, of the value's shape; nil when no gradient arrived.
    package var gradient: Tensor? { leaf?.gradient }

    /// What `backward` has left here and how often it came; the next gradient begins a new sum.
    package func takeGradient() -> (gradient: Tensor?, arrivals: Int) { leaf?.node?.take() ?? (nil, 0) }

    /// Hears how many gradients have arrived since the last `takeGradient`; nil: nobody does.
    package func onArrival(_ body: ((Int) -> Void)?) { leaf?.node?.onArrival = body }

    /// Collects gradients from now on unless it is frozen, and is computed with in `element`: the one place where float32
    /// values become compute copies. Single values (the logit scale) stay float32.
    package mutating func watch(isFrozen: Bool, as element: Element) {
        self.isFrozen = isFrozen
        if !isFrozen {
            value = value.watched()
            leaf = value
        }
        if value.count > 1 { value = value.converted(to: element) }
    }
}
