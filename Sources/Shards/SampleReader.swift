import Foundation
import Images
import Support
import Tokenization

/// A sample as a batch takes it.
struct PreparedSample: Sendable {
    let key: String
    let caption: String
    let image: PixelImage
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

    func read(_ reference: SampleReference, at position: DataPosition) -> Result<PreparedSample, SampleError> {
        let shard = order.sources[reference.source].shards[reference.shard]
        var place = shard.path
        do throws(SampleFault) {
            let sample = try shard.sample(reference.index)
            place = "\(shard.path): \(sample.key)"
            var random = RandomStream(
                seed: order.seed, purpose: "augment \(sample.key)", epoch: position.epoch, sample: position.taken)
            let captions = try sample.captions(plan.fields)
            let caption = captions[random.integer(below: captions.count)]
            let image = try image(of: sample, &random)
            return .success(
                PreparedSample(
                    key: sample.key, caption: caption, image: image,
                    tokens: tokenizer.ids(caption, contextLength: plan.contextLength)))
        } catch {
            return .failure(SampleError(fault: error, place: place))
        }
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
