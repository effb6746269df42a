// Views share storage: no copy forward, none backward but for a slice.

extension Tensor {
    /// Any shape of the same count.
    package func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == count, "cannot see shape \(self.shape) as \(shape)")
        let original = self.shape
        return Tensor(storage: storage, shape: shape, offset: offset)
            .recorded(from: [self]) { dy in [dy.reshaped(original)] }
    }

    /// Entries `range` of the first axis: [N,...] -> [range,...].
    package func slice(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "\(range) is outside of \(shape)")
        let stride = shape.dropFirst().reduce(1, *)
        let whole = shape
        return Tensor(
            storage: storage, shape: [range.count] + shape.dropFirst(), offset: offset + range.lowerBound * stride
        ).recorded(from: [self]) { dy in
            let dx = dy.device.zeros(whole, dy.element)
            dx.slice(range).fill(from: dy)
            return [dx]
        }
    }
}

/// Stacks along the first axis; the other axes agree: [N,...] and [M,...] -> [N+M,...].
package func concatenate(_ parts: [Tensor]) -> Tensor {
    let tail = Array(parts[0].shape.dropFirst())
    var (ranges, total): ([Range<Int>], Int) = ([], 0)
    for part in parts {
        precondition(Array(part.shape.dropFirst()) == tail, "cannot stack \(part.shape) on \(parts[0].shape)")
        ranges.append(total..<total + part.shape[0])
        total += part.shape[0]
    }
    let y = parts[0].empty([total] + tail)
    for (part, range) in zip(parts, ranges) { y.slice(range).fill(from: part) }
    return y.recorded(from: parts) { dy in ranges.map { dy.slice($0) } }
}
