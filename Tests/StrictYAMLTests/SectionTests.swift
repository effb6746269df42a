import Foundation
import StrictYAML
import Support
import TestKit
import Testing
import Weights

@Suite struct SectionTests {
    @Test("A wrong key names file, line and a suggestion")
    func unknownKey() throws {
        try Places.withFolder { folder in
            try AtomicFile.write("a: 1\noptimizer:\n  rate: 0.1\n  weight_decy: 2\n", to: folder + "/x.yaml")
            let section = try Section(file: folder + "/x.yaml")
            _ = try section.integer("a")
            let optimizer = try section.section("optimizer")
            _ = try optimizer.number("rate")
            _ = try optimizer.number("weight_decay", default: 0)
            let failure = #expect(throws: Failure.self) { try section.finish() }
            #expect(
                failure?.description
                    == "\(folder)/x.yaml:4: unknown key optimizer.weight_decy. Did you mean weight_decay?")
        }
    }

    @Test("A value of the wrong type names file, line and key")
    func wrongType() throws {
        try Places.withFolder { folder in
            try AtomicFile.write("a: 1\nb: many\n", to: folder + "/x.yaml")
            let section = try Section(file: folder + "/x.yaml")
            let failure = #expect(throws: Failure.self) { try section.integer("b") }
            #expect(failure?.description == "\(folder)/x.yaml:2: b: needs an integer, has many.")
        }
    }
}
