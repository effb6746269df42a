import ArgumentParser
import Foundation
import Images
import Shards
import Support
import Tokenization

struct BenchData: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Decode and resize photos to model inputs, on one core.",
        discussion: """
            evaluation: shortest side and centre crop; training: RandomResizedCrop of 0.9 to 1.0 of the area.

            EXAMPLES
              diptych bench data --images photos
              diptych bench data --images photos --transform training --decode fast
            """)

    enum Transform: String, ExpressibleByArgument, CaseIterable { case evaluation, training }

    @Option(help: "A folder of photos.") var images: String
    @Option(help: "evaluation or training.") var transform = Transform.evaluation
    @Option(help: "exact or fast, as data.decode in a recipe.") var decode = DecodeMode.exact
    @Option(help: "Side of the result.") var size = 224
    @Option(help: "Times through the folder, after one that is not timed.") var rounds = 5
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard size > 0, rounds > 0 else { throw ValidationError("--size and --rounds must be positive.") }
    }

    func execute() throws {
        let files = try ImageFiles(images).files.map { try readFile(images + "/" + $0) }
        guard !files.isEmpty else { throw Failure(.inputMissing, images, "holds no images") }
        let preprocess = try Preprocess(.object([:]), height: size, width: size, path: "")
        let augmentation = Augmentation()
        let times = try timed(rounds) {
            for (index, data) in files.enumerated() {
                do throws(ImageFault) {
                    switch transform {
                    case .evaluation:
                        let shortest = decode.shortest(width: size, height: size)
                        _ = preprocess.geometry(try PixelImage(decoding: data, shortest: shortest))
                    case .training:
                        var stream = RandomStream(seed: UInt64(index), purpose: "bench crop")
                        _ = try augmentation(
                            decoding: data, (decode, .rgbFirst), width: size, height: size, preprocess.filter, &stream)
                    }
                } catch { throw Failure(.badData, images, "\(error)") }
            }
        }
        var report = BenchReport(
            "data: \(files.count) photos of \(images), \(transform.rawValue), \(decode.rawValue), to \(size)")
        report.add("images_per_second", Double(files.count) / times.median, "%.1f images/s on one core")
        report.add("fastest_per_second", Double(files.count) / times[0], "%.1f at the fastest")
        report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
        try report.print(options)
    }
}

extension DecodeMode: ExpressibleByArgument {}

struct BenchTokenize: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn captions into ids, on one core.",
        discussion: """
            EXAMPLES
              diptych bench tokenize --input captions.txt
            """)

    @Option(help: "A file with a caption a line.") var input: String
    @Option(help: "A tokenizer folder.") var tokenizer = "Tokenizers/clip-bpe"
    @Option(help: "Context length.") var context = 77
    @Option(help: "Times through the file, after one that is not timed.") var rounds = 5
    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard context > 1, rounds > 0 else { throw ValidationError("--context must exceed 1, --rounds be positive.") }
    }

    func execute() throws {
        let lines = try TextLines.read(input).filter { !$0.isEmpty }
        guard !lines.isEmpty else { throw Failure(.badData, input, "holds no captions") }
        let tokenizer = try TokenizerCard(tokenizer).load()
        var tokens = 0
        let times = timed(rounds) {
            tokens = 0
            for line in lines { tokens += tokenizer.ids(line, contextLength: context).count }
        }
        var report = BenchReport("tokenize: \(lines.count) captions of \(input), \(self.tokenizer), context \(context)")
        report.add("texts_per_second", Double(lines.count) / times.median, "%.0f texts/s on one core")
        report.add("fastest_per_second", Double(lines.count) / times[0], "%.0f at the fastest")
        report.add(bytes: Machine.peakMemory, "peak_memory_bytes", "peak memory")
        try report.print(options)
    }
}
