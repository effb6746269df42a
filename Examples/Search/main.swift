// Finds the images of a folder that fit a sentence. Run it from the project's folder:
//   swift run -c release search runs/demo/model photos "a red circle"
import Diptych
import Foundation

let words = CommandLine.arguments
guard words.count == 4 else {
    print("usage: search MODEL FOLDER SENTENCE")
    exit(64)
}
let folder = words[2]
do {
    let model = try Model(words[1], on: CPUDevice())
    let names = try Files.names(in: folder).filter { $0.hasSuffix(".jpg") }
    guard !names.isEmpty else { throw Failure(.inputMissing, folder, "holds no .jpg images") }
    let images = try model.encode(images: names.count) { index in  // [N,E]
        try PixelImage(decoding: readFile(folder + "/" + names[index]))
    }
    let query = try model.encode(texts: [words[3]])  // [1,E]
    let width = query.count
    let scores = names.indices.map { row in
        (0..<width).reduce(Float(0)) { $0 + images[row * width + $1] * query[$1] }
    }
    for row in names.indices.sorted(by: { scores[$0] > scores[$1] }).prefix(5) {
        print(scores[row], names[row].shownName)
    }
} catch {
    Console.tell("search: \(error)\n")
    exit((error as? Failure)?.kind.rawValue ?? 65)
}
