import Foundation
import Support
import Tokenization
import Weights

/// Words hashed into buckets, weighted by TF-IDF, projected onto the directions that hold most of the sample
/// (truncated SVD by subspace iteration: Halko, Martinsson and Tropp 2011, arXiv:0909.4061). Needs no weights from elsewhere.
package struct HashedTFIDF: CaptionEmbedder {
    static let fileName = "tfidf.safetensors"
    static let buckets = 1 << 14

    package let width: Int
    package let card: EmbedderCard
    private let inverseFrequency: [Float]  // [buckets]
    private let directions: [Float]  // [buckets, D]

    /// - Parameters:
    ///   - captions: the sample it is fitted on
    ///   - width: dimensions of the result
    /// - Throws: `Failure(.badData)` when the captions hold fewer different words than dimensions.
    package init(fitting captions: [String], width: Int, seed: UInt64, folder: String = "") throws {
        let counts = captions.map(Self.counts)
        var documents = [Int](repeating: 0, count: Self.buckets)
        for row in counts { for (bucket, _) in row { documents[bucket] += 1 } }
        guard documents.count(where: { $0 > 0 }) >= width else {
            throw Failure(
                .badData, "clusters.embedder",
                "the sample has fewer than \(width) different words, too few for that many dimensions",
                remedy: "Lower clusters.embedder.width")
        }
        let total = Double(captions.count)
        let frequency = documents.map { Float(log((1 + total) / (1 + Double($0))) + 1) }
        let rows = counts.map { Self.weighted($0, frequency) }
        let directions = Self.directions(rows, width: width, seed: seed)
        self.init(inverseFrequency: frequency, directions: directions, width: width, path: folder)
    }

    private init(inverseFrequency: [Float], directions: [Float], width: Int, path: String) {
        self.inverseFrequency = inverseFrequency
        self.directions = directions
        self.width = width
        let bytes = (inverseFrequency + directions).withUnsafeBytes { Data($0) }
        card = EmbedderCard(kind: .tfidf, path: path, digest: SHA256.hex(bytes), width: width)
    }

    init(file path: String) throws {
        let file = try Safetensors(path)
        let shape = try file.entry("directions").shape
        guard shape.count == 2, shape[0] == Self.buckets, try file.entry("inverse_frequency").shape == [Self.buckets]
        else {
            throw Failure(.badData, path, "is no TF-IDF projection of \(Self.buckets) buckets")
        }
        self.init(
            inverseFrequency: try file.floats("inverse_frequency"), directions: try file.floats("directions"),
            width: shape[1], path: (path as NSString).deletingLastPathComponent)
    }

    func write(to folder: String) throws {
        try Safetensors.write(
            [
                FileTensor("inverse_frequency", inverseFrequency, shape: [Self.buckets]),
                FileTensor("directions", directions, shape: [Self.buckets, width]),
            ], to: folder + "/" + Self.fileName)
    }

    package func embed(_ captions: [String], progress: (Int) -> Void) throws -> [Float] {
        var features = [Float](repeating: 0, count: captions.count * width)
        for (n, caption) in captions.enumerated() {
            var row = [Double](repeating: 0, count: width)
            for (bucket, weight) in Self.weighted(Self.counts(caption), inverseFrequency) {
                for d in 0..<width { row[d] += Double(weight) * Double(directions[bucket * width + d]) }
            }
            let length = max(1e-12, row.reduce(0) { $0 + $1 * $1 }.squareRoot())
            for d in 0..<width { features[n * width + d] = Float(row[d] / length) }
            if n % 1024 == 1023 || n == captions.count - 1 { progress(n + 1) }
        }
        return features
    }

    typealias Row = [(bucket: Int, weight: Float)]

    private static func counts(_ caption: String) -> [(bucket: Int, count: Int)] {
        var counts: [Int: Int] = [:]
        for word in Clean.canonicalize(caption).split(separator: " ") {
            // FNV-1a, folded.
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325
            for byte in word.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            counts[Int(truncatingIfNeeded: hash ^ hash >> 32) & (buckets - 1), default: 0] += 1
        }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func weighted(_ counts: [(bucket: Int, count: Int)], _ frequency: [Float]) -> Row {
        let row = counts.map { ($0.bucket, (1 + logf(Float($0.count))) * frequency[$0.bucket]) }
        let length = max(1e-12, row.reduce(0) { $0 + $1.1 * $1.1 }.squareRoot())
        return row.map { ($0.0, $0.1 / length) }
    }

    /// The leading right singular vectors [buckets, width] of the rows.
    private static func directions(_ rows: [Row], width: Int, seed: UInt64) -> [Float] {
        let rank = width + 8
        var random = RandomStream(seed: seed, purpose: "tf-idf directions")
        var v = (0..<buckets * rank).map { _ in random.normal() }
        orthonormalize(&v, rank)
        for _ in 0..<6 {
            v = transposedProduct(rows, product(rows, v, rank), rank)
            orthonormalize(&v, rank)
        }
        // Within the space found, the singular directions themselves, the largest first.
        let y = product(rows, v, rank)
        var gram = [Double](repeating: 0, count: rank * rank)
        for n in rows.indices {
            for i in 0..<rank { for j in 0..<rank { gram[i * rank + j] += y[n * rank + i] * y[n * rank + j] } }
        }
        let (values, vectors) = SymmetricEigen.decompose(gram, rank)
        let order = values.indices.sorted { values[$0] > values[$1] }.prefix(width)
        return (0..<buckets).flatMap { bucket in
            order.map { column in
                Float((0..<rank).reduce(0.0) { $0 + v[bucket * rank + $1] * vectors[$1 * rank + column] })
            }
        }
    }

    private static func product(_ rows: [Row], _ v: [Double], _ rank: Int) -> [Double] {
        var y = [Double](repeating: 0, count: rows.count * rank)
        for (n, row) in rows.enumerated() {
            for (bucket, weight) in row {
                for r in 0..<rank { y[n * rank + r] += Double(weight) * v[bucket * rank + r] }
            }
        }
        return y
    }

    private static func transposedProduct(_ rows: [Row], _ y: [Double], _ rank: Int) -> [Double] {
        var z = [Double](repeating: 0, count: buckets * rank)
        for (n, row) in rows.enumerated() {
            for (bucket, weight) in row {
                for r in 0..<rank { z[bucket * rank + r] += Double(weight) * y[n * rank + r] }
            }
        }
        return z
    }

    /// Columns made unit and perpendicular, twice over (Gram-Schmidt).
    private static func orthonormalize(_ v: inout [Double], _ rank: Int) {
        let count = v.count / rank
        v.withUnsafeMutableBufferPointer { v in
            for column in 0..<rank {
                for _ in 0..<2 {
                    for earlier in 0..<column {
                        var dot = 0.0
                        for i in 0..<count { dot += v[i * rank + column] * v[i * rank + earlier] }
                        for i in 0..<count { v[i * rank + column] -= dot * v[i * rank + earlier] }
                    }
                }
                var square = 0.0
                for i in 0..<count { square += v[i * rank + column] * v[i * rank + column] }
                let length = max(1e-300, square.squareRoot())
                for i in 0..<count { v[i * rank + column] /= length }
            }
        }
    }
}

/// Eigenvalues and vectors of a small symmetric matrix, by Jacobi's rotations.
enum SymmetricEigen {
    /// - Parameter matrix: [n,n]
    /// - Returns: n values and their vectors as columns of [n,n]
    static func decompose(_ matrix: [Double], _ n: Int) -> (values: [Double], vectors: [Double]) {
        var a = matrix
        var vectors = (0..<n * n).map { $0 / n == $0 % n ? 1.0 : 0.0 }
        let scale = a.reduce(0) { $0 + $1 * $1 }
        for _ in 0..<60 {
            var off = 0.0
            for i in 0..<n { for j in 0..<i { off += 2 * a[i * n + j] * a[i * n + j] } }
            guard off > 1e-24 * scale else { break }
            for p in 0..<n {
                for q in p + 1..<max(n, p + 1) where abs(a[p * n + q]) > 1e-300 {
                    let theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q])
                    let t = (theta >= 0 ? 1.0 : -1.0) / (abs(theta) + (theta * theta + 1).squareRoot())
                    let c = 1 / (t * t + 1).squareRoot()
                    let s = t * c
                    for k in 0..<n {
                        let (x, y) = (a[k * n + p], a[k * n + q])
                        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y)
                    }
                    for k in 0..<n {
                        let (x, y) = (a[p * n + k], a[q * n + k])
                        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y)
                    }
                    for k in 0..<n {
                        let (x, y) = (vectors[k * n + p], vectors[k * n + q])
                        (vectors[k * n + p], vectors[k * n + q]) = (c * x - s * y, s * x + c * y)
                    }
                }
            }
        }
        return ((0..<n).map { a[$0 * n + $0] }, vectors)
    }
}
