import Doctor
import Encoders
import Evaluation
import Foundation
import Images
import Layers
import Learning
import Models
import Objectives
import Support
import TensorCPU
import TensorCore
import TestKit
import Testing
import Training
import Weights

@Suite struct ComparisonTests {
    @Test("Two different models are told apart, and the first stage that differs is named")
    func comparison() throws {
        let first = try TinyModels.model(TinyModels.clip)
        var second = first
        second.visit {
            if $0.name == "ln_final.weight" { $0.value = first.device.filled(1.5, shape: [12]) }
        }
        try Places.withFolder { folder in
            for (name, model) in [("a", first), ("b", second)] {
                try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
                try ModelFolder.write(model, preprocess: [:], to: "\(folder)/\(name)")
            }
            let result = try ModelComparison("\(folder)/a", against: "\(folder)/b", on: first.device).run()
            let failed = result.stages.filter { if case .failed = $0.outcome { true } else { false } }.map(\.stage)
            #expect(failed == ["parameters", "text features"])  // a scaled feature has the same direction
        }
    }
}
