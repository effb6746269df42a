import Foundation
import Images
import Support
import Synchronization
import Tokenization

/// What `data check` finds in shards: every image is decoded, every caption read.
public struct ShardCheck: Sendable {
    public private(set) var shards = 0
    public private(set) var samples = 0
    public private(set) var bytes = 0
    public private(set) var captions = 0
    /// Captions that the context length cuts.
    public private(set) var cutCaptions = 0
    public private(set) var sides: (least: Int, most: Int) = (.max, 0)
    public private(set) var faults = FaultTally()

    /// - Parameters:
    ///   - tokenizer: counts cut captions; nil leaves that out
    ///   - progress: sees shards done, of how many
    /// - Throws: `Failure` for a missing or damaged shard.
    public init(
        _ paths: [String], fields: SampleFields = SampleFields(), tokenizer: (any Tokenizer)?, contextLength: Int,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        for (index, path) in paths.enumerated() {
            let shard = try Shard(path)
            shards += 1
            bytes += shard.byteCount
            let found = Mutex([Int: Sample]())
            DispatchQueue.concurrentPerform(iterations: shard.samples.count) { number in
                let sample = Self.look(shard, number, fields, tokenizer, contextLength)
                found.withLock { $0[number] = sample }
            }
            for (number, sample) in found.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
                add(sample, place: "\(path): \(shard.samples[number].key)")
            }
            shard.rest()
            progress(index + 1, paths.count)
        }
    }

    private struct Sample: Sendable {
        var captions = 0
        var cut = 0
        var size: (width: Int, height: Int)?
        var faults: [String] = []
    }

    private static func look(
        _ shard: Shard, _ number: Int, _ fields: SampleFields, _ tokenizer: (any Tokenizer)?, _ contextLength: Int
    ) -> Sample {
        let entry = shard.samples[number]
        var sample = Sample()
        do throws(SampleFault) {
            let texts = try shard.captions(entry, fields)
            sample.captions = texts.count
            sample.cut = texts.count { tokenizer?.isCut($0, contextLength: contextLength) ?? false }
        } catch {
            // A sample with a class needs no caption.
            if (try? shard.classIndex(entry)) == nil { sample.faults.append(error.reason) }
        }
        do throws(SampleFault) {
            let image = try shard.image(entry)
            sample.size = (image.width, image.height)
        } catch { sample.faults.append(error.reason) }
        return sample
    }

    private mutating func add(_ sample: Sample, place: String) {
        samples += 1
        faults.seen += 1
        captions += sample.captions
        cutCaptions += sample.cut
        if let size = sample.size {
            sides = (min(sides.least, size.width, size.height), max(sides.most, size.width, size.height))
        }
        for reason in sample.faults { faults.add(reason, example: place) }
    }

    public var json: JSON {
        [
            "shards": .integer(shards), "samples": .integer(samples), "bytes": .integer(bytes),
            "captions": .integer(captions),
            "cut_captions": .integer(cutCaptions), "faults": .object(faults.counts.mapValues { .integer($0) }),
        ]
    }
}
