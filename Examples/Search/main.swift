// Finds the images of a folder that fit a sentence. Run it from the project's folder:
//   swift run -c release search runs/demo/model photos "a red circle"
import Diptych
import Foundation

let words = CommandLine.arguments
guard words.count == 4 else {
    print("usage: search MODEL FOLDER SENTENCE")
    exit(64)
}
do {
    let encoder = try Encoder(words[1])
    let names = try FileManager.default.contentsOfDirectory(atPath: words[2]).filter { $0.hasSuffix(".jpg") }.sorted()
    guard !names.isEmpty else {
        print("search: \(words[2]) holds no .jpg images")
        exit(66)
    }
    let images = try encoder.encode(imageFiles: names.map { words[2] + "/" + $0 })
    let query = try encoder.encode(texts: [words[3]])
    let scores = names.indices.map { images.cosine($0, query, 0) }
    for row in names.indices.sorted(by: { scores[$0] > scores[$1] }).prefix(5) { print(scores[row], names[row]) }
} catch {
    FileHandle.standardError.write(Data("search: \(error)\n".utf8))
    exit(65)
}
