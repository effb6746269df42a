import Models
import Encoders
import Evaluation
import Experts
import Foundation
import Support
import TensorCPU
import TestKit
import Testing
import Tokenization
import Weights

@Suite struct ExpertsTests {
    private func expect(_ values: [Double], _ wanted: [Double]) {
        #expect(values.count == wanted.count)
        for (value, right) in zip(values, wanted) { #expect(abs(value - right) < 1e-7, "\(value), wanted \(right)") }
    }

    // Golden values worked out from the two published forms.
    @Test("Both forms of the router give the published formulas' weights")
    func router() {
        let three = (squares: [0.25, 0.49, 0.81], owners: [0, 0, 2])
        let twelve = (squares: (0..<12).map { pow(0.3 + 0.05 * Double($0), 2) }, owners: (0..<12).map { $0 % 4 })
        let paper = RouterForm.paper(lambda: 0.2)
        expect(
            paper.route(squaredDistances: three.squares, owners: three.owners, experts: 4).weights,
            [0.27060284, 0.24272017, 0.24395682, 0.24272017])
        expect(
            paper.route(squaredDistances: twelve.squares, owners: twelve.owners, experts: 4).weights,
            [0.31879986, 0.26415716, 0.22352584, 0.19351714])
        expect(
            RouterForm.release.route(squaredDistances: three.squares, owners: three.owners, experts: 4).weights,
            [0.2610992, 0.2458096, 0.2472816, 0.2458096])
        expect(
            RouterForm.release.route(
                squaredDistances: twelve.squares, owners: twelve.owners, experts: 4
            ).weights, [0.2530026, 0.2506671, 0.2488631, 0.2474672])
    }

    @Test("The bound printed beside a weight is the form's own: .449 for four texts, .379 for one, of four experts")
    func bound() {
        for (count, wanted) in [(1, 0.379), (4, 0.449)] {
            let route = RouterForm.paper(lambda: 0.2).route(
                squaredDistances: [Double](repeating: 1, count: count), owners: [Int](repeating: 2, count: count),
                experts: 4)
            #expect(abs(route.bound - wanted) < 5e-4)
            #expect(route.weights.max()! < route.bound)
        }
        // Many texts: no overflow, all weight on one expert.
        let many = RouterForm.paper(lambda: 0.2).route(
            squaredDistances: [Double](repeating: 0, count: 5000), owners: [Int](repeating: 1, count: 5000), experts: 3)
        #expect(many.weights == [0, 1, 0] && many.entropy == 0)
    }

    @Test("With experts left out or only the heaviest run, weights and bound are those of the rest")
    func restricted() {
        let form = RouterForm.paper(lambda: 0.2)
        let zeros = [Double](repeating: 0, count: 4)
        // All texts on expert 1: its weight is the bound itself, among any number of experts.
        let whole = form.route(squaredDistances: zeros, owners: [1, 1, 1, 1], experts: 4)
        for (route, place) in [(whole, 1), (whole.restricted(to: [1, 3]), 0), (whole.restricted(to: [0, 1, 2]), 1)] {
            #expect(abs(route.weights[place] - route.bound) < 1e-12)
            #expect(abs(route.weights.reduce(0, +) - 1) < 1e-12 && route.experts[place] == 1)
        }
        #expect(whole.top(1).weights == [0, 1, 0, 0] && whole.top(1).bound == 1)
    }

    private func values(_ count: Int, _ centres: Int, seed: UInt64) -> [Float] {
        var random = RandomStream(seed: seed, purpose: "values")
        return (0..<count * centres).map { _ in -Float(random.uniform(0, 2)) }
    }

    @Test(
        "The auction fills every centre to the floor or ceiling of N/k and comes within N epsilon of the best sum",
        arguments: [(7, 3), (9, 3), (8, 4), (5, 5), (40, 7), (500, 16), (11, 1)])
    func auction(_ count: Int, _ centres: Int) {
        let values = values(count, centres, seed: UInt64(count))
        let choice = Auction.assign(values, centres: centres)
        var sizes = [Int](repeating: 0, count: centres)
        for c in choice { sizes[c] += 1 }
        #expect(sizes.allSatisfy { $0 == count / centres || $0 == (count + centres - 1) / centres }, "\(sizes)")
        func sum(_ choice: [Int]) -> Float {
            choice.enumerated().reduce(0) { $0 + values[$1.offset * centres + $1.element] }
        }
        guard count % centres == 0, count <= 9 else { return }
        var best = -Float.infinity
        func search(_ partial: [Int], _ room: [Int]) {
            if partial.count == count { best = max(best, sum(partial)) }
            for c in room.indices where partial.count < count && room[c] > 0 {
                var left = room
                left[c] -= 1
                search(partial + [c], left)
            }
        }
        search([], [Int](repeating: count / centres, count: centres))
        #expect(sum(choice) >= best - Float(count) * (values.max()! - values.min()!) / 50 - 1e-3)
    }

    @Test("Sinkhorn's marginals are uniform to 1e-6")
    func sinkhorn() throws {
        let (count, centres) = (300, 12)
        let plan = try Sinkhorn.plan(values(count, centres, seed: 3), centres: centres)
        let rows = (0..<count).map { row in plan[row * centres..<(row + 1) * centres].reduce(0, +) }
        let columns = (0..<centres).map { c in (0..<count).reduce(0) { $0 + plan[$1 * centres + c] } }
        #expect(rows.allSatisfy { abs($0 * Double(count) - 1) < 1e-6 })
        #expect(columns.allSatisfy { abs($0 * Double(centres) - 1) < 1e-6 })
    }

    /// Four blobs of different sizes in the plane.
    private func blobs() -> [Float] {
        var random = RandomStream(seed: 5, purpose: "blobs")
        let middles: [(x: Double, y: Double, count: Int)] = [(0, 0, 40), (5, 0, 60), (0, 5, 100), (5, 5, 200)]
        return middles.flatMap { middle in
            (0..<middle.count).flatMap { _ in
                [Float(middle.x + 0.3 * random.normal()), Float(middle.y + 0.3 * random.normal())]
            }
        }
    }

    @Test("k-means finds four blobs, with the same bits for any number of threads", arguments: KMeans.Start.allCases)
    func kMeans(_ start: KMeans.Start) throws {
        var settings = KMeans(clusters: 4)
        (settings.start, settings.restarts, settings.chunk) = (start, 4, 128)
        let fits = try [1, 3].map { try settings.fit(blobs(), width: 2, on: CPUDevice(threads: $0)) }
        #expect(fits[0].sizes.sorted() == [40, 60, 100, 200])
        #expect(fits[0].centres == fits[1].centres && fits[0].inertia == fits[1].inertia)
    }

    @Test("Balanced k-means holds its clusters near one size", arguments: [KMeans.Balance.auction, .sinkhorn])
    func balanced(_ balance: KMeans.Balance) throws {
        var settings = KMeans(clusters: 4)
        (settings.balance, settings.epsilon) = (balance, 0.5)
        let fit = try settings.fit(blobs(), width: 2, on: CPUDevice())
        #expect(fit.sizes.allSatisfy { abs($0 - 100) <= (balance == .auction ? 0 : 15) }, "\(fit.sizes)")
    }

    @Test("More clusters than captions is an error that says so")
    func tooFew() {
        let failure = #expect(throws: Failure.self) {
            try KMeans(clusters: 9).fit([1, 2, 3, 4], width: 2, on: CPUDevice())
        }
        #expect(failure?.problem == "9 clusters need as many captions, the sample has 2")
    }

    @Test("Truncated SVD of TF-IDF keeps captions of the same words together and others apart")
    func tfidf() throws {
        let captions = (0..<60).map { ["a red dog runs \($0 % 5)", "two blue boats sail \($0 % 7)"][$0 % 2] }
        let embedder = try HashedTFIDF(fitting: captions, width: 6, seed: 0)
        let rows = try embedder.embed(["the red dog", "blue boats", "a dog runs"]) { _ in }
        func cosine(_ a: Int, _ b: Int) -> Float { (0..<6).reduce(0) { $0 + rows[a * 6 + $1] * rows[b * 6 + $1] } }
        #expect(abs(cosine(0, 0) - 1) < 1e-5)
        #expect(cosine(0, 2) > 0.7 && abs(cosine(0, 1)) < 0.3, "\(cosine(0, 2)) \(cosine(0, 1))")
    }

    @Test("WordPiece ids and both poolings of a BERT encoder equal transformers'")
    func sentences() throws {
        let folder = Places.project + "/Tests/Goldens/sentence"
        let tokenizer = try WordPieceTokenizer(vocabulary: folder + "/vocab.txt")
        let cases = try #require(JSON(file: folder + "/cases.json").array)
        for one in cases {
            let text = one["text"]?.string ?? ""
            #expect(
                tokenizer.sequence(text, limit: 32) == one["ids"]?.array?.compactMap { $0.integer.map { Int32($0) } },
                "\(text)")
        }
        let expected = try Safetensors(folder + "/expected.safetensors")
        try Places.withFolder { mean in
            for name in ["config.json", "vocab.txt", "model.safetensors"] {
                try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(mean)/\(name)")
            }
            try FileManager.default.createDirectory(atPath: mean + "/1_Pooling", withIntermediateDirectories: true)
            try AtomicFile.write("{\"pooling_mode_mean_tokens\": true}", to: mean + "/1_Pooling/config.json")
            for (place, name) in [(folder, "pooler"), (mean, "mean")] {
                let model = try SentenceModel(SentenceFolder(place), on: CPUDevice())
                let rows = model.encode(cases.map { tokenizer.sequence($0["text"]!.string!, limit: 32) })
                #expect(Close.absolute(try expected.floats(name), rows) < 1e-6, "\(name)")
            }
        }
    }
}
