import ArgumentParser
import Foundation
import Report
import Support

struct ReportCommand: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write a run's HTML report.",
        discussion: """
            One self-contained page: curves, results with intervals, example retrievals, the recipe.

            EXAMPLE
              diptych report runs/scenes
            """)

    @Argument(help: "A run folder.") var run: String

    func execute() throws { try answer(try RunReport(run).write()) }
}
