import Images
import Foundation
import Shards
import TestKit
import Testing
import Tokenization

/// On real photos and captions, where a developer has them (DIPTYCH_DATA).
@Suite(.enabled(if: Places.data != nil, "did not run: DIPTYCH_DATA is not set")) struct RealDataTests {
    @Test("Flickr8k's validation shard: 1,000 photos, 5,000 captions, no fault")
    func flickr8k() throws {
        let tokenizer = try TokenizerCard(Places.project + "/Tokenizers/clip-bpe").load()
        let check = try ShardCheck(
            [#require(Places.data) + "/flickr8k/flickr8k-val-0000.tar"], tokenizer: tokenizer, contextLength: 32)
        #expect(check.samples == 1000)
        #expect(check.captions == 5000)
        #expect(check.faults.counts == [:])
        // A few captions run past 30 tokens.
        #expect((1...100).contains(check.cutCaptions))
    }

    @Test("A gzip shard of CIFAR-10: 5,000 images with a class in 0...9")
    func cifar10() throws {
        let shard = try Shard(#require(Places.data) + "/cifar10/cifar10-test-0000.tar.gz")
        #expect(shard.count == 5000)
        let classes = try (0..<300).map { try shard.sample($0).classIndex() }
        #expect(Set(classes) == Set(0..<10))
        let image = try shard.sample(0).image()
        #expect((image.width, image.height) == (32, 32))
    }
}
