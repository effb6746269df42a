/// One recorded operation: whom its gradient goes to, and how.
///
/// The graph is held by the tensors themselves, so there is no global tape to clear. A leaf (a watched
/// tensor) has no parents and only collects.
package final class Node: @unchecked Sendable {
    let parents: [Node?]
    var pullback: ((Tensor) -> [Tensor?])?
    /// Of an operation that adds its first gradient to what its first parent has already, in one pass: the rule gets that too.
    var addingPullback: ((Tensor, Tensor?) -> [Tensor?])?
    package var gradient: Tensor?
    /// Longer than any parent's: descending order visits every consumer before its producer.
    let depth: Int

    init(parents: [Node?], pullback: ((Tensor) -> [Tensor?])?) {
        self.parents = parents
        self.pullback = pullback
        depth = (parents.lazy.compactMap { $0?.depth }.max() ?? -1) + 1
    }

    /// Takes a sum that holds the gradient so far.
    func replace(with sum: Tensor) {
        (gradient, ownsSum) = (sum, true)
        arrivals += 1
        onArrival?(arrivals)
    }

    /// Adds to the gradient, in place once nobody else can see the sum.
    func receive(_ incoming: Tensor) {
        arrivals += 1
        defer { onArrival?(arrivals) }
        guard let held = gradient else {
            gradient = incoming
            return
        }
        gradient = nil
        if ownsSum {
            held.accumulate(incoming)
            gradient = held
        } else {
            let sum = held.empty(like: held)
            held.device.run(.add(.init(a: held, b: incoming, y: sum)))
            gradient = sum
            ownsSum = true
        }
    }

    private var ownsSum = false
    private var arrivals = 0
    /// Hears how many gradients have arrived since the last `take`.
    var onArrival: ((Int) -> Void)?

    /// What has arrived, which the next one begins anew from.
    func take() -> (gradient: Tensor?, arrivals: Int) {
        defer { (gradient, arrivals, ownsSum) = (nil, 0, false) }
        return (gradient, arrivals)
    }
}

/// Turns recording off for a region of code.
package enum Tape {
    @TaskLocal package static var isRecording = true
}

/// Runs `body` without recording: inference, and the first pass of `recompute`.
package func withoutTape<Result>(_ body: () throws -> Result) rethrows -> Result {
    try Tape.$isRecording.withValue(false, operation: body)
}

extension Tensor {
    /// A leaf with these values: `gradient` collects what `backward` sends to it, any shape.
    package func watched() -> Tensor {
        Tensor(storage: storage, shape: shape, offset: offset, node: Node(parents: [], pullback: nil))
    }

    /// What `backward` has left here; nil when no gradient arrived.
    package var gradient: Tensor? { node?.gradient }

    package var isRecorded: Bool { node != nil && Tape.isRecording }

    /// Attaches the gradient rule of the operation that made this tensor from `parents`. The rule gets
    /// the output's gradient and gives one per parent, nil where none is due.
    func recorded(from parents: [Tensor?], _ pullback: @escaping (Tensor) -> [Tensor?]) -> Tensor {
        guard Tape.isRecording, parents.contains(where: { $0?.node != nil }) else { return self }
        return Tensor(
            storage: storage, shape: shape, offset: offset,
            node: Node(parents: parents.map { $0?.node }, pullback: pullback))
    }

    /// The same with a rule that also gets the gradient that the first parent has so far, nil where it has none, and gives
    /// the sum of both for it.
    func recordedAdding(from parents: [Tensor?], _ pullback: @escaping (Tensor, Tensor?) -> [Tensor?]) -> Tensor {
        guard Tape.isRecording, parents.contains(where: { $0?.node != nil }) else { return self }
        let node = Node(parents: parents.map { $0?.node }, pullback: nil)
        node.addingPullback = pullback
        return Tensor(storage: storage, shape: shape, offset: offset, node: node)
    }

    /// Sends `gradient` (ones when nil) back through everything this tensor was made from. Gradients
    /// add up in watched tensors over several calls; recorded values are dropped on the way.
    package func backward(_ gradient: Tensor? = nil) {
        guard let root = node else { return }
        root.receive(gradient ?? device.filled(1, shape: shape))
        var seen: Set<ObjectIdentifier> = [ObjectIdentifier(root)]
        var order = [root]
        var next = 0
        while next < order.count {
            for case let parent? in order[next].parents where seen.insert(ObjectIdentifier(parent)).inserted {
                order.append(parent)
            }
            next += 1
        }
        // Stable, so that equal depths keep the order of discovery and sums keep their bits.
        let sorted = order.enumerated().sorted { ($1.element.depth, $0.offset) < ($0.element.depth, $1.offset) }
        order = []
        for (_, node) in sorted {
            guard let arrived = node.gradient else { continue }
            if let rule = node.addingPullback {
                (node.addingPullback, node.gradient) = (nil, nil)
                let held = node.parents[0]?.gradient
                for (index, share) in rule(arrived, held).enumerated() {
                    guard let parent = node.parents[index], let share else { continue }
                    if index == 0, held != nil { parent.replace(with: share) } else { parent.receive(share) }
                }
            } else if let pullback = node.pullback {
                (node.pullback, node.gradient) = (nil, nil)
                for (parent, share) in zip(node.parents, pullback(arrived)) {
                    if let parent, let share { parent.receive(share) }
                }
            }
        }
    }
}
