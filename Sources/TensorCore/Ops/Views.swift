// Views share storage: no copy forward, none backward but for a slice.

extension Tensor {
    public func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == count, "cannot see shape \(self.shape) as \(shape)")
        let original = self.shape
        return Tensor(storage: storage, shape: shape, offset: offset)
            .recorded(from: [self]) { dy in [dy.reshaped(original)] }
    }

    /// Entries `range` of the first axis.
    public func slice(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "\(range) is outside of \(shape)")
        let stride = shape.dropFirst().reduce(1, *)
        let whole = shape
        return Tensor(
            storage: storage, shape: [range.count] + shape.dropFirst(), offset: offset + range.lowerBound * stride
        ).recorded(from: [self]) { dy in
            let dx = dy.device.zeros(whole)
            dy.device.copy(dy, into: dx.slice(range))
            return [dx]
        }
    }
}

/// Stacks along the first axis; the other axes agree.
public func concatenate(_ parts: [Tensor]) -> Tensor {
    let device = parts[0].device
    let tail = Array(parts[0].shape.dropFirst())
    var starts = [0]
    for part in parts {
        precondition(Array(part.shape.dropFirst()) == tail, "cannot stack \(part.shape) on \(parts[0].shape)")
        starts.append(starts.last! + part.shape[0])
    }
    let ranges = zip(starts, starts.dropFirst()).map { $0..<$1 }
    let y = device.empty([starts.last!] + tail)
    for (part, range) in zip(parts, ranges) { device.copy(part, into: y.slice(range)) }
    return y.recorded(from: parts) { dy in ranges.map { dy.slice($0) } }
}
