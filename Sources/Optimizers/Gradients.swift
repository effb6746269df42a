package import TensorCore

/// The gradients of a model's learned parameters, in the order of its `visit`.
package struct Gradients: Sendable {
    package struct Entry: Sendable {
        package let name: String
        /// The float32 values that a step changes in place, any shape.
        package let value: Tensor
        /// Of the value's shape; nil where none arrived (frozen).
        package var gradient: Tensor?

        package init(name: String, value: Tensor, gradient: Tensor?) {
            (self.name, self.value, self.gradient) = (name, value, gradient)
        }
    }

    package var entries: [Entry]

    package init(_ entries: [Entry]) { self.entries = entries }

    /// What `backward` left with watched parameters.
    package init(of parameters: [Parameter]) {
        entries = parameters.map { Entry(name: $0.name, value: $0.master, gradient: $0.gradient) }
    }

    /// Those that arrived.
    var arrived: [(entry: Entry, gradient: Tensor)] {
        entries.compactMap { entry in entry.gradient.map { (entry, $0) } }
    }
}
