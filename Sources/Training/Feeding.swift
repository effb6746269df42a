import Encoders
import Learning
import Shards
import TensorCore

extension Batch {
    /// On a device, as a step takes it.
    package func pairs(_ plan: BatchPlan, on device: any Device) -> PairBatch {
        PairBatch(
            images: ImageBatch(
                device.tensor(images, shape: [count, 3, plan.preprocess.height, plan.preprocess.width])),
            texts: TokenBatch(padded: tokens, contextLength: plan.contextLength))
    }
}
