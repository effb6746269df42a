import Foundation
import Report
import Support
import TestKit
import TensorCPU
import Testing
import Training

@Suite struct ReportTests {
    /// A key that is renamed where it is written would make a chart vanish without a word.
    @Test("Every chart and table of a run's report has points, and its examples pictures")
    func report() throws {
        try Places.withFolder { folder in
            let tiny = try TinyRun(
                in: folder,
                extra: """
                    evaluations:
                      - {task: \(Places.project)/Evals/tasks/scenes-retrieval.yaml, data: \(folder)/validation}
                    """)
            let trainer = try Trainer(
                Recipe(tiny.recipe), run: RunPlace(folder + "/run", resume: false), on: CPUDevice(threads: 2),
                observer: Watcher()
            )
            try trainer.train()
            let report = try RunReport(folder + "/run")
            #expect(
                report.curves.map { $0.lines.map(\.name) } == [
                    ["train", "validation"], ["rate"], ["scale"], ["norm"], ["pairs/s"],
                ])
            let page = String(decoding: try readFile(try report.write()), as: UTF8.self)
            for text in [
                "image to text R@1", "text to image R@10", "95 % interval", "pairs/s, median", "data:image/jpeg",
            ] {
                #expect(page.contains(text), "\(text)")
            }
            #expect(page.components(separatedBy: "<svg").count == 1 + report.curves.count)
        }
    }
}
