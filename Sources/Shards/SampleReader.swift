import Foundation
import Images
import Support
import Tokenization

/// A sample as a batch takes it; its pixels stand in the batch already.
struct PreparedSample: Sendable {
    let key: String
    let caption: String
    let tokens: [Int32]
}

struct SampleError: Error {
    let fault: SampleFault
    let place: String
}

/// Reads, decodes, augments and tokenizes one sample; which caption and which crop depends on (seed, epoch, sample) alone.
struct SampleReader: Sendable {
    let order: SampleOrder
    let plan: BatchPlan
    let tokenizer: any Tokenizer

    /// Bytes of an image.
    var imageSize: Int { plan.preprocess.width * plan.preprocess.height * 3 }

    /// - Parameter pixels: filled, `imageSize` bytes
    func read(_ reference: SampleReference, at position: DataPosition, into pixels: UnsafeMutableRawBufferPointer)
        -> Result<PreparedSample, SampleError>
    {
        let shard = order.sources[reference.source].shards[reference.shard]
        var place = shard.path
        do throws(SampleFault) {
            let sample = try shard.sample(reference.index)
            place = "\(shard.path): \(sample.key)"
            var random = RandomStream(
                seed: order.seed, purpose: "augment \(sample.key)", epoch: position.epoch, sample: position.taken)
            let captions = try sample.captions(plan.fields)
            let caption = captions[random.integer(below: captions.count)]
            pixels.copyBytes(from: try image(of: sample, &random).pixels)
            return .success(
                PreparedSample(
                    key: sample.key, caption: caption,
                    tokens: tokenizer.ids(caption, contextLength: plan.contextLength)))
        } catch {
            return .failure(SampleError(fault: error, place: place))
        }
    }

    /// Samples tried for one slot before it is given up.
    static let attempts = 32

    /// What takes a faulty sample's slot: drawn from its source by (seed, epoch, position, attempt), so that no other slot
    /// and no other process needs to know of the fault.
    ///
    /// - Parameter attempt: from 1
    /// - Returns: nil where the source has nothing that takes part in this epoch
    func replacement(for reference: SampleReference, at position: DataPosition, attempt: Int) throws
        -> SampleReference?
    {
        let source = order.sources[reference.source]
        var random = RandomStream(
            seed: order.seed, purpose: "replace \(attempt)", epoch: position.epoch, sample: position.taken)
        for _ in 0..<1000 {
            let found = source.reference(random.integer(below: source.count), in: reference.source)
            if try order.isUsed(found, epoch: position.epoch) { return found }
        }
        return nil
    }

    private func image(of sample: Sample, _ random: inout RandomStream) throws(SampleFault) -> PixelImage {
        let (width, height) = (plan.preprocess.width, plan.preprocess.height)
        guard let augmentation = plan.augmentation else {
            let shortest = plan.decode.shortest(width: width, height: height)
            return plan.preprocess.geometry(try sample.image(plan.conversion, shortest: shortest))
        }
        let data = try sample.imageData()
        do {
            return try augmentation(
                decoding: data, (plan.decode, plan.conversion), width: width, height: height, plan.preprocess.filter,
                &random)
        } catch { throw .image(error) }
    }
}
