import Foundation
import StrictYAML
import Shards
import Support
package import TensorCore
import Tokenization
import Weights

/// Two-step clusters of captions (Ma et al. 2024, arXiv:2404.16030, section 3.1): m fine centres, and the coarse
/// cluster, which is the expert, of each. On disk `clusters.safetensors`, `clusters.yaml` and, to read, `summary.md`.
package struct Clusters: Sendable {
    /// [m,D], not unit rows
    package let fine: [Float]
    /// [n,D]
    package let coarse: [Float]
    /// The expert of each fine centre, [m].
    package let expertOf: [Int]
    package let embedder: EmbedderCard

    package var width: Int { embedder.width }
    package var experts: Int { coarse.count / width }

    static let tensorsName = "clusters.safetensors"
    static let cardName = "clusters.yaml"

    /// Fine clusters of the points, then coarse ones of the fine centres.
    ///
    /// - Parameters:
    ///   - points: [N,D], unit rows
    ///   - fine: how the m centres are fitted
    ///   - experts: n
    /// - Throws: `Failure(.badData)` for fewer points than centres, or fewer centres than experts.
    package static func fit(
        _ points: [Float], embedder: EmbedderCard, fine: KMeans, experts: Int, on device: any Device
    ) throws -> (clusters: Clusters, fine: KMeans.Fit) {
        let fitted = try fine.fit(points, width: embedder.width, on: device)
        var rule = fine
        (rule.clusters, rule.iterations, rule.chunk) = (experts, 100, fine.clusters)
        let coarse = try rule.fit(fitted.centres, width: embedder.width, on: device)
        let nearest = KMeans.nearest(fitted.centres, coarse.centres, width: embedder.width, on: device)
        return (
            Clusters(
                fine: fitted.centres, coarse: coarse.centres, expertOf: nearest.map(\.centre), embedder: embedder),
            fitted
        )
    }

    init(fine: [Float], coarse: [Float], expertOf: [Int], embedder: EmbedderCard) {
        self.fine = fine
        self.coarse = coarse
        self.expertOf = expertOf
        self.embedder = embedder
    }

    /// - Throws: `Failure` naming the file, tensor or key that is missing or does not fit.
    package init(_ folder: String) throws {
        let path = folder + "/" + Self.cardName
        guard Files.exists(path) else {
            throw Failure(
                .inputMissing, path, "there are no clusters yet", remedy: "Make them: diptych experts cluster")
        }
        let section = try Section(file: path)
        let card = try section.section("embedder")
        let kind: EmbedderCard.Kind = try card.choice("kind")
        embedder = EmbedderCard(
            kind: kind, path: kind == .tfidf ? folder : try card.string("path"), digest: try card.string("sha256"),
            width: try card.integer("width", in: 1...1_000_000))
        let tensors = folder + "/" + Self.tensorsName
        let file = try Safetensors(tensors)
        fine = try file.floats("fine_centres")
        coarse = try file.floats("coarse_centres")
        expertOf = try file.integers("expert_of_fine_centre")
        let n = coarse.count / embedder.width
        for name in ["fine_centres", "coarse_centres"] where try file.entry(name).shape.last != embedder.width {
            throw Failure(
                .badData, tensors, "\(name) has rows of another width than the embedder's \(embedder.width)",
                remedy: "The clusters were made with another embedder: run diptych experts cluster again")
        }
        guard fine.count == expertOf.count * embedder.width, expertOf.allSatisfy({ (0..<n).contains($0) }) else {
            throw Failure(.badData, tensors, "expert_of_fine_centre does not fit the centres")
        }
    }

    /// SHA-256 of the centres in a clusters folder.
    static func digest(of folder: String) throws -> String { SHA256.hex(try readFile(folder + "/" + tensorsName)) }

    /// The embedder that made these clusters.
    ///
    /// - Parameter path: where it stands now, when that is not where it stood
    /// - Throws: `Failure(.badData)` when another embedder stands there.
    package func openEmbedder(_ path: String? = nil, on device: any Device) throws -> any CaptionEmbedder {
        let place = path ?? embedder.path
        let opened = try embedder.kind.open(place, on: device)
        guard opened.card.digest == embedder.digest else {
            throw Failure(
                .badData, place,
                "is not the embedder these clusters were made with (SHA-256 of weights and vocabulary)",
                remedy: "Give the right one with --embedder, or make the clusters again")
        }
        return opened
    }

    package struct Settings {
        let lines: [String]
        package init(_ fit: KMeans.Fit, _ fine: KMeans, sample: Int, of total: Int) {
            lines = [
                "sample: \(sample)", "captions: \(total)", "balance: \(fine.balance.rawValue)",
                "start: \(fine.start.rawValue)", "seed: \(fine.seed)", "iterations: \(fit.iterations)",
                "inertia: \(fit.inertia)",
            ]
        }
    }

    /// Writes the folder whole or not at all.
    ///
    /// - Parameter summary: for people
    package func write(to folder: String, _ settings: Settings, embedder made: any CaptionEmbedder, summary: String)
        throws
    {
        try AtomicFile.writeFolder(folder) { folder in
            try Safetensors.write(
                [
                    FileTensor("fine_centres", fine, shape: [expertOf.count, width]),
                    FileTensor("coarse_centres", coarse, shape: [experts, width]),
                    FileTensor("expert_of_fine_centre", expertOf.map { Int32($0) }, shape: [expertOf.count]),
                ], to: folder + "/" + Self.tensorsName)
            if let tfidf = made as? HashedTFIDF { try tfidf.write(to: folder) }
            let place = embedder.kind == .tfidf ? "." : embedder.path
            let card =
                [
                    "# Made by diptych experts cluster; the centres are in \(Self.tensorsName).",
                    "fine: \(expertOf.count)", "experts: \(experts)",
                    "embedder:", "  kind: \(embedder.kind.rawValue)", "  path: \(JSON.string(place).text())",
                    "  sha256: \(embedder.digest)", "  width: \(width)",
                ] + settings.lines
            try AtomicFile.write(card.joined(separator: "\n") + "\n", to: folder + "/" + Self.cardName)
            try AtomicFile.write(summary, to: folder + "/summary.md")
        }
    }

    /// Sizes, words and nearest captions of each cluster, as Markdown.
    ///
    /// - Parameters:
    ///   - captions: N
    ///   - points: [N,D], their rows
    package func summary(_ captions: [String], _ points: [Float], on device: any Device) -> String {
        let nearest = KMeans.nearest(points, fine, width: width, on: device)
        var members = [[(distance: Float, caption: Int)]](repeating: [], count: expertOf.count)
        for (caption, (centre, distance)) in nearest.enumerated() { members[centre].append((distance, caption)) }
        let words = captions.map { Set(Clean.canonicalize($0).split(separator: " ").map(String.init)) }
        var everywhere: [String: Int] = [:]
        for set in words { for word in set { everywhere[word, default: 0] += 1 } }
        /// Words that mark a cluster: frequent in it, and more so than elsewhere.
        func telling(_ captions: [Int], _ count: Int) -> String {
            var here: [String: Int] = [:]
            for caption in captions { for word in words[caption] { here[word, default: 0] += 1 } }
            let scored = here.filter { $0.value > 1 || captions.count < 4 }.map { word, found in
                let lift = Double(found) / Double(captions.count) * Double(words.count) / Double(everywhere[word] ?? 1)
                return (word: word, lift: lift, score: Double(found) * log(lift))
            }.filter { $0.lift > 1.3 }
            return scored.sorted { ($1.score, $0.word) < ($0.score, $1.word) }.prefix(count).map(\.word)
                .joined(separator: ", ")
        }
        var out = "# \(experts) experts from \(expertOf.count) fine clusters of \(captions.count) captions\n"
        for expert in 0..<experts {
            let centres = expertOf.indices.filter { expertOf[$0] == expert }
            let own = centres.flatMap { members[$0].map(\.caption) }
            let share = captions.isEmpty ? 0 : 100 * Double(own.count) / Double(captions.count)
            out += String(
                format: "\n## Expert %d: %d captions (%.1f %%), %d fine clusters\n\n", expert, own.count, share,
                centres.count)
            out += telling(own, 12) + "\n\n| fine cluster | captions | words | nearest captions |\n|---|---|---|---|\n"
            for centre in centres.sorted(by: { members[$0].count > members[$1].count }) {
                let close = members[centre].sorted { ($0.distance, $0.caption) < ($1.distance, $1.caption) }.prefix(3)
                    .map { captions[$0.caption].replacingOccurrences(of: "|", with: "\\|") }
                out +=
                    "| \(centre) | \(members[centre].count) | \(telling(members[centre].map(\.caption), 6)) | \(close.joined(separator: "<br>")) |\n"
            }
        }
        return out
    }
}
