import Shards
import Foundation
import Images
import Support

extension SceneRules {
    /// Writes scenes as WebDataset shards: key.jpg, key.txt (a caption a line), key.json (the factors) and,
    /// for scenes of one object, key.cls (shape x colour). Same seed and rules, same bytes.
    ///
    /// - Parameter progress: sees the number written so far
    package func write(
        count: Int, seed: UInt64, to folder: String, shardSize: Int = 2000, threads: Int,
        progress: @Sendable (Int) -> Void = { _ in }
    ) throws {
        try Files.makeFolder(folder)
        let chosen = try numbers(count, seed: seed)
        for (shard, start) in stride(from: 0, to: count, by: shardSize).enumerated() {
            let numbers = chosen[start..<min(count, start + shardSize)]
            let samples = draw(numbers, seed: seed, threads: threads)
            try AtomicFile.write(to: folder + String(format: "/scenes-%04d.tar", shard)) { file in
                let tar = TarWriter(file)
                for (number, sample) in zip(numbers, samples) {
                    let key = String(format: "scene-%06d", number)
                    try tar.add(key + ".jpg", sample.jpeg)
                    try tar.add(key + ".txt", Data(sample.captions.joined(separator: "\n").utf8))
                    try tar.add(key + ".json", Data(sample.scene.json.text().utf8))
                    if sample.scene.objects.count == 1 {
                        try tar.add(key + ".cls", Data("\(sample.scene.objects[0].classIndex)".utf8))
                    }
                }
                try tar.finish()
            }
            progress(numbers.endIndex)
        }
    }

    /// The first `count` scene numbers; with distinct captions those whose captions no earlier one has.
    private func numbers(_ count: Int, seed: UInt64) throws -> [Int] {
        guard isDistinct else { return Array(0..<count) }
        var seen: Set<String> = []
        var found: [Int] = []
        var number = 0
        while found.count < count {
            let words = captions(of: scene(number, seed: seed), number, seed: seed)
            if words.allSatisfy({ !seen.contains($0) }) {
                seen.formUnion(words)
                found.append(number)
            }
            number += 1
            guard number < 1000 * (found.count + 100) else {
                throw Failure(
                    .usage, "--distinct", "only \(found.count) of \(count) scenes have captions of their own",
                    remedy: "Ask for fewer scenes, or lower --ambiguity")
            }
        }
        return found
    }

    private struct Drawn: Sendable {
        let scene: Scene
        let captions: [String]
        let jpeg: Data
    }

    private func draw(_ numbers: ArraySlice<Int>, seed: UInt64, threads: Int) -> [Drawn] {
        let size = (numbers.count + threads - 1) / threads
        let parts = stride(from: numbers.startIndex, to: numbers.endIndex, by: size).map {
            numbers[$0..<min(numbers.endIndex, $0 + size)]
        }
        let drawn = UnsafeMutableBufferPointer<[Drawn]>.allocate(capacity: parts.count)
        drawn.initialize(repeating: [])
        defer {
            drawn.deinitialize()
            drawn.deallocate()
        }
        nonisolated(unsafe) let slots = drawn
        inParallel(parts.count) { part in
            slots[part] = parts[part].map { number in
                let scene = scene(number, seed: seed)
                return Drawn(
                    scene: scene, captions: captions(of: scene, number, seed: seed),
                    jpeg: scene.render(side: side, number: number, seed: seed).jpeg(quality: 92))
            }
        }
        return drawn.flatMap { $0 }
    }
}
