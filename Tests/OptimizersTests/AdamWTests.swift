import Encoders
import Foundation
import Layers
import Learning
import Objectives
import Optimizers
import Records
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training

@Suite struct AdamWTests {
    @Test("Weight decay covers matrices and leaves out vectors, biases, norms and the logit scale")
    func decayGroups() {
        #expect(AdamW.decays("visual.conv1.weight", dimensions: 4))
        #expect(AdamW.decays("visual.trunk.attn_pool.latent", dimensions: 3))
        #expect(AdamW.decays("positional_embedding", dimensions: 2))
        #expect(!AdamW.decays("visual.ln_pre.weight", dimensions: 1))
        #expect(!AdamW.decays("logit_scale", dimensions: 0))
        #expect(!AdamW.decays("text_projection.bias", dimensions: 1))
    }
}
