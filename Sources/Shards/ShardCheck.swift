import Foundation
import Images
package import Support
import Synchronization
package import Tokenization

/// What `data check` finds in shards: every image is decoded, every caption read.
package struct ShardCheck: Sendable {
    package private(set) var shards = 0
    package private(set) var samples = 0
    package private(set) var bytes = 0
    package private(set) var captions = 0
    /// Captions that the context length cuts.
    package private(set) var cutCaptions = 0
    package private(set) var sides: (least: Int, most: Int) = (.max, 0)
    package private(set) var faults = FaultTally()

    /// Shards that cannot be read, and why.
    package private(set) var damaged: [Failure] = []
    /// What else a person should know of a shard.
    package private(set) var notes: [String] = []

    /// Goes through all shards, damaged ones or not.
    ///
    /// - Parameters:
    ///   - tokenizer: counts cut captions; nil leaves that out
    ///   - progress: sees shards done, of how many
    package init(
        _ paths: [String], fields: SampleFields = SampleFields(), tokenizer: (any Tokenizer)?, contextLength: Int,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        for (index, path) in paths.enumerated() {
            do {
                try look(through: Shard(path), fields, tokenizer, contextLength)
            } catch let failure as Failure where paths.count > 1 || failure.kind == .badData {
                damaged.append(failure)
            }
            progress(index + 1, paths.count)
        }
    }

    private mutating func look(
        through shard: Shard, _ fields: SampleFields, _ tokenizer: (any Tokenizer)?, _ contextLength: Int
    ) throws {
        let found = Mutex([Int: Finding]())
        let open = try shard.open()
        inParallel(shard.count) { number in
            let sample = Self.look(open, number, fields, tokenizer, contextLength)
            found.withLock { $0[number] = sample }
        }
        let samples = found.withLock { $0 }.sorted { $0.key < $1.key }
        if let failure = samples.lazy.compactMap(\.value.failure).first { throw failure }
        shards += 1
        bytes += shard.byteCount
        notes += shard.notes.map { "\(shard.path): \($0)" }
        for (_, sample) in samples { add(sample, place: "\(shard.path): \(sample.key)") }
    }

    private struct Finding: Sendable {
        var key = ""
        var captions = 0
        var cut = 0
        var size: (width: Int, height: Int)?
        var faults: [SampleFault] = []
        /// The shard's own.
        var failure: Failure?

        mutating func add(_ fault: SampleFault) {
            if case .shard(let failure) = fault { self.failure = failure } else { faults.append(fault) }
        }
    }

    private static func look(
        _ shard: OpenShard, _ number: Int, _ fields: SampleFields, _ tokenizer: (any Tokenizer)?, _ contextLength: Int
    ) -> Finding {
        var sample = Finding()
        let read: Sample
        do throws(SampleFault) { read = try shard.sample(number) } catch {
            sample.add(error)
            return sample
        }
        sample.key = read.key
        do throws(SampleFault) {
            let texts = try read.captions(fields)
            sample.captions = texts.count
            sample.cut = texts.count { tokenizer?.isCut($0, contextLength: contextLength) ?? false }
        } catch {
            // A sample with a class needs no caption.
            if (try? read.classIndex()) == nil { sample.add(error) }
        }
        do throws(SampleFault) {
            let image = try read.image()
            sample.size = (image.width, image.height)
        } catch { sample.add(error) }
        return sample
    }

    private mutating func add(_ sample: Finding, place: String) {
        samples += 1
        faults.seen += 1
        captions += sample.captions
        cutCaptions += sample.cut
        if let size = sample.size {
            sides = (min(sides.least, size.width, size.height), max(sides.most, size.width, size.height))
        }
        for fault in sample.faults { faults.add(fault.reason, example: "\(place): \(fault)") }
    }

    package var json: JSON {
        [
            "shards": .integer(shards), "samples": .integer(samples), "bytes": .integer(bytes),
            "captions": .integer(captions),
            "cut_captions": .integer(cutCaptions), "faults": .object(faults.counts.mapValues { .integer($0) }),
            "damaged": .array(damaged.map { .string("\($0)") }), "notes": .array(notes.map { .string($0) }),
        ]
    }
}
