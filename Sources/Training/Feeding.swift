import Images
import Support
import Encoders
package import Learning
package import Shards
package import TensorCore

extension Batch {
    /// On a device, as a step takes it.
    package func pairs(_ plan: BatchPlan, padding: Int32, on device: any Device) -> PairBatch {
        let bytes = device.empty([count, height, width, 3], .uint8)
        device.upload(pixels.bytes, into: bytes)
        let table = device.tensor(plan.preprocess.table, shape: [3, 256])
        return PairBatch(
            images: ImageBatch(pixels: bytes, table: table),
            texts: TokenBatch(tokens, contextLength: plan.contextLength, padding: padding))
    }
}
