import TensorCore

/// Every operation of TensorCore/Ops, a case each. A new device is right when all of them pass on it.
package let opCases: [OpCase] = [
    OpCase("add", small: [.values(3, 4), .values(3, 4)], large: [.values(300, 257), .values(300, 257)]) {
        $0[0] + $0[1]
    },
    OpCase("multiply", small: [.values(3, 4), .values(3, 4)], large: [.values(300, 257), .values(300, 257)]) {
        $0[0] * $0[1]
    },
    OpCase("scale", small: [.values(7)], large: [.values(40000)]) { $0[0].scaled(by: -2.5) },
    OpCase("reshape and slice", small: [.values(6, 2)], large: [.values(600, 50)]) {
        $0[0].slice(2..<5).reshaped([3 * $0[0].columns])
    },
    OpCase("concatenate", small: [.values(2, 3), .values(1, 3)], large: [.values(200, 31), .values(57, 31)]) {
        concatenate([$0[0], $0[1], $0[0]])
    },
    activation(.quickGELU), activation(.gelu), activation(.geluTanh), activation(.relu), activation(.tanh),
    OpCase("sum of rows", small: [.values(5, 3)], large: [.values(5000, 37)]) { sumRows($0[0]) },
    OpCase("mean of segments", small: [.values(5, 3)], large: [.values(500, 37)]) {
        let last = $0[0].rows - 3
        return segmentMean($0[0], Segments(lengths: [1, 2, last]))
    },
    OpCase("matmul", small: [.values(3, 4), .values(4, 2)], large: [.values(300, 130), .values(130, 70)]) {
        matmul($0[0], $0[1])
    },
    OpCase(
        "matmul, both transposed", small: [.values(4, 3), .values(2, 4)], large: [.values(130, 300), .values(700, 130)]
    ) {
        matmul($0[0], $0[1], transposeA: true, transposeB: true)
    },
    OpCase(
        "matmul, first transposed", small: [.values(4, 3), .values(4, 2)], large: [.values(130, 90), .values(130, 70)]
    ) {
        matmul($0[0], $0[1], transposeA: true)
    },
    // Past every block of the product kernel: 96 rows, 384 of the inner axis, 768 columns.
    OpCase(
        "matmul, several blocks", small: [.values(3, 2), .values(3, 2)], large: [.values(900, 203), .values(900, 801)]
    ) {
        matmul($0[0], $0[1], transposeA: true)
    },
    // A long inner axis, and few rows: what is packed as it is read, in blocks that do not come out even.
    OpCase(
        "matmul, long inner axis", small: [.values(9, 2), .values(9, 2)],
        large: [.values(1700, 203), .values(1700, 401)]
    ) {
        matmul($0[0], $0[1], transposeA: true)
    },
    OpCase("matmul, few rows", small: [.values(2, 3), .values(3, 4)], large: [.values(217, 500), .values(500, 530)]) {
        matmul($0[0], $0[1])
    },
    OpCase(
        "layer norm into MLP",
        small: [.values(3, 4), .values(4), .values(4), .values(6, 4), .values(6), .values(2, 6), .values(2)],
        large: [
            .values(200, 40), .values(40), .values(40), .values(610, 40), .values(610), .values(40, 610), .values(40),
        ]
    ) {
        let normed = layerNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5)
        return TensorCore.feedForward(normed, expand: ($0[3], $0[4]), activation: .gelu, contract: ($0[5], $0[6]))
    },
    OpCase(
        "linear with residual", small: [.values(3, 4), .values(2, 4), .values(2), .values(3, 2)],
        large: [.values(700, 48), .values(96, 48), .values(96), .values(700, 96)]
    ) { linear($0[0], weight: $0[1], bias: $0[2], residual: $0[3]) },
    linearActivation(.quickGELU), linearActivation(.gelu), linearActivation(.geluTanh), linearActivation(.tanh),
    feedForward(.quickGELU), feedForward(.gelu), feedForward(.geluTanh), feedForward(.relu), feedForward(.tanh),
    OpCase(
        "gather rows", small: [.values(4, 3), .values(6, 3)], large: [.values(100, 33), .values(900, 33)]
    ) { inputs in
        // Some rows often, some never.
        let rows = (0..<inputs[1].rows).map { $0 * $0 % inputs[0].rows }
        return gatherRows(inputs[0], Indices(rows), addend: inputs[1])
    },
    OpCase(
        "layer norm", small: [.values(4, 5), .values(5), .values(5)],
        large: [.values(700, 96), .values(96), .values(96)]
    ) { layerNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5) },
    // Its gradient is added to another of its input's in one pass.
    OpCase(
        "layer norm beside its input", small: [.values(4, 5), .values(5), .values(5)],
        large: [.values(700, 96), .values(96), .values(96)]
    ) { layerNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5) + $0[0].scaled(by: 0.5) },
    OpCase("normalize rows", small: [.values(4, 5)], large: [.values(600, 65)]) { normalizeRows($0[0]) },
    attention(causal: false), attention(causal: true),
    OpCase(
        "cross attention", small: [.values(2, 4), .values(7, 8)], large: [.values(6, 32), .values(150, 64)]
    ) {
        let length = $0[1].rows / $0[0].rows
        let lengths = (0..<$0[0].rows).map { [count = $0[0].rows, total = $0[1].rows] i in
            i == count - 1 ? total - length * (count - 1) : length
        }
        return crossAttention(
            query: $0[0], Segments(count: $0[0].rows, length: 1), keyValue: $0[1], Segments(lengths: lengths), heads: 2)
    },
    OpCase(
        "attention to other tokens", small: [.values(2, 12), .values(5, 12)], large: [.values(3, 96), .values(90, 96)]
    ) {
        let (m, n) = ($0[0].rows, $0[1].rows)
        return TensorCore.attention(
            queriesOf: $0[0], Segments(count: m, length: 1), keysOf: $0[1],
            Segments(lengths: (0..<m).map { $0 == 0 ? n - m + 1 : 1 }), heads: 2)
    },
    OpCase("patchify", small: [.values(1, 3, 5, 4)], large: [.values(3, 3, 34, 50)]) { patchify($0[0], patch: 2) },
    OpCase("unfold", small: [.values(24, 2)], large: [.values(480, 37)]) { unfold($0[0], windows($0[0])) },
    OpCase("average pool", small: [.values(24, 2)], large: [.values(480, 37)]) {
        averagePool($0[0], WindowPixels(windows($0[0]), count: 2))
    },
    OpCase(
        "depthwise convolution", small: [.values(24, 2), .values(2, 1, 3, 3), .values(2)],
        large: [.values(480, 37), .values(37, 1, 3, 3), .values(37)]
    ) { depthwise($0[0], windows($0[0]), weight: $0[1], bias: $0[2]) },
    OpCase(
        "batch norm", small: [.values(7, 3), .values(3), .values(3)],
        large: [.values(700, 97), .values(97), .values(97)]
    ) {
        batchNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5, .batch { _, _, _ in })
    },
    OpCase(
        "batch norm, running statistics", small: [.values(7, 3), .values(3), .values(3)],
        large: [.values(700, 97), .values(97), .values(97)]
    ) {
        let device = $0[0].device
        let statistics = BatchStatistics.fixed(
            mean: device.filled(0.3, shape: [$0[1].count]), variance: device.filled(1.7, shape: [$0[1].count]))
        return batchNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5, statistics)
    },
    contrastive(.softmax), contrastive(.sigmoid),
    OpCase(
        "recompute", small: [.values(3, 4), .values(4, 4)], large: [.values(300, 48), .values(48, 48)]
    ) { inputs in
        recompute(inputs[0]) { linear($0, weight: inputs[1], activation: .gelu) + $0 }
    },
]

/// Two maps, windows of 3 x 3 two pixels apart.
private func windows(_ x: Tensor) -> Windows {
    Windows(height: x.rows / 8, width: 4, kernel: 3, stride: 2, padding: 1)
}

private func activation(_ kind: Activation) -> OpCase {
    // ReLU has no slope at 0; no normal draw lands within a finite-difference step of it here.
    OpCase("activation \(kind)", small: [.values(9, scale: 2)], large: [.values(40000, scale: 3)]) {
        $0[0].activated(kind)
    }
}

private func linearActivation(_ kind: Activation) -> OpCase {
    OpCase(
        "linear with \(kind)", small: [.values(3, 4), .values(2, 4), .values(2)],
        large: [.values(700, 48), .values(96, 48), .values(96)]
    ) { linear($0[0], weight: $0[1], bias: $0[2], activation: kind) }
}

private func feedForward(_ kind: Activation) -> OpCase {
    OpCase(
        "MLP with \(kind)",
        small: [.values(3, 4), .values(6, 4), .values(6), .values(2, 6), .values(2), .values(3, 2)],
        large: [.values(500, 40), .values(150, 40), .values(150), .values(40, 150), .values(40), .values(500, 40)]
    ) {
        TensorCore.feedForward(
            $0[0], expand: ($0[1], $0[2]), activation: kind, contract: ($0[3], $0[4]), residual: $0[5])
    }
}

private func attention(causal: Bool) -> OpCase {
    OpCase("attention\(causal ? ", causal" : "")", small: [.values(6, 12)], large: [.values(200, 96)]) {
        let rest = $0[0].rows - 3
        return TensorCore.attention(qkv: $0[0], Segments(lengths: [2, 1, rest]), heads: 2, causal: causal)
    }
}

private func contrastive(_ kind: ContrastiveKind) -> OpCase {
    // 600 rows make two blocks, the second a partial one.
    OpCase(
        "\(kind) contrastive loss", small: [.values(4, 3), .values(4, 3), .values(1), .values(1)],
        large: [.values(600, 24), .values(600, 24), .values(1), .values(1)], elements: [.float32]
    ) {
        contrastiveLoss(
            kind, images: normalizeRows($0[0]), texts: normalizeRows($0[1]), logScale: $0[2],
            logitBias: kind == .sigmoid ? $0[3] : nil)
    }
}
