import Evaluation
import Foundation
import Images
import Scenes
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct SceneTests {
    @Test("Scenes are the same bytes for the same seed and others for another")
    func sceneBytes() throws {
        try Places.withFolder { folder in
            var rules = SceneRules()
            rules.side = 24
            try rules.write(count: 30, seed: 5, to: folder + "/a", threads: 1)
            try rules.write(count: 30, seed: 5, to: folder + "/b", threads: 3)
            try rules.write(count: 30, seed: 6, to: folder + "/c", threads: 1)
            let digests = try ["a", "b", "c"].map { SHA256.hex(try readFile("\(folder)/\($0)/scenes-0000.tar")) }
            #expect(digests[0] == digests[1])
            #expect(digests[0] != digests[2])
        }
    }

    @Test("Withheld pairs are ten, one per shape and colour, and never shown when left out")
    func withheldPairs() {
        var rules = SceneRules()
        rules.pairs = .seen
        for number in 0..<500 {
            for object in rules.scene(number, seed: 1).objects {
                #expect(!Scene.isWithheld(object.shape, object.colour))
            }
        }
        let pairs = Scene.Shape.allCases.flatMap { shape in
            Scene.Colour.allCases.filter { Scene.isWithheld(shape, $0) }.map { (shape, $0) }
        }
        #expect(pairs.count == 10)
        #expect(Set(pairs.map(\.0)).count == 10)
        #expect(Set(pairs.map(\.1)).count == 10)
    }
}
