import StrictYAML
import Foundation
import Support
import TestKit
import Testing
import Training

@Suite struct RecipeTests {
    @Test("docs/recipe.md is what the keys' declarations say")
    func documentation() throws {
        let written = String(decoding: try readFile(Places.project + "/docs/recipe.md"), as: UTF8.self)
        #expect(
            written == RecipeHelp.markdown, "write it again: diptych train --help-recipe --markdown > docs/recipe.md")
    }

    @Test("Every key has a sentence, and none stands twice in its part")
    func keys() {
        for part in RecipeHelp.parts {
            #expect(Set(part.keys.map(\.name)).count == part.keys.count, "\(part.name)")
            for key in part.keys { #expect(key.sentence.hasSuffix("."), "\(part.name).\(key.name)") }
        }
        #expect(RecipeHelp.parts.reduce(0) { $0 + $1.keys.count } > 60)
    }

    @Test("Every recipe that comes with Diptych is made of declared keys")
    func shipped() throws {
        let known = Set(
            RecipeHelp.parts.flatMap { part in
                part.keys.map {
                    (part.name.isEmpty ? "" : part.name.replacingOccurrences(of: "[]", with: "") + ".") + $0.name
                }
            })
        for name in try Files.names(in: Places.project + "/Recipes") where name.hasSuffix(".yaml") {
            let text = String(decoding: try readFile(Places.project + "/Recipes/" + name), as: UTF8.self)
            for line in text.split(separator: "\n") where !line.hasPrefix(" ") && !line.hasPrefix("#") {
                let key = String(line.prefix { $0 != ":" })
                #expect(known.contains(key), "\(name): \(key)")
            }
        }
    }
}
