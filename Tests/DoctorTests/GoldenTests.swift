import Support
import Doctor
import Foundation
import TensorCPU
import TestKit
import Tokenization
import Testing

@Suite struct GoldenTests {
    private func failures(_ folder: String, allowIncomplete: Bool) throws -> [String] {
        let vocabulary = cacheFolder + "/tokenizers/clip-bpe/bpe_simple_vocab_16e6.txt.gz"
        try #require(
            Files.exists(vocabulary), "the CLIP vocabulary is missing: run scripts/setup")
        let doctor = Doctor(folder: folder, device: CPUDevice(), clipVocabulary: vocabulary)
        var failures: [String] = []
        try doctor.run { result in
            for stage in result.stages {
                switch stage.outcome {
                case .passed: break
                case .failed(let cause): failures.append("\(result.name), \(stage.stage): \(cause)")
                case .notRun(let reason):
                    if !allowIncomplete { failures.append("\(result.name), \(stage.stage) not run: \(reason)") }
                }
            }
        }
        return failures
    }

    @Test("Every stage agrees with the golden values made by the peers")
    func ownGoldens() throws {
        #expect(try failures(Places.project + "/Tests/Goldens", allowIncomplete: false) == [])
    }

    @Test(
        "No stage that runs differs from the large fixtures",
        .enabled(if: Places.fixtures != nil, "did not run: DIPTYCH_FIXTURES is not set"))
    func fixtures() throws {
        #expect(try failures(#require(Places.fixtures), allowIncomplete: true) == [])
    }
}
