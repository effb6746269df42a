import ArgumentParser
import Foundation
import Shards
import Support
import Tokenization

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Make and check shards.", subcommands: [DataPack.self, DataCheck.self])
}

struct DataPack: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack", abstract: "Shards from a table or a COCO captions file, and a folder of images.",
        discussion: """
            EXAMPLES
              diptych data pack --csv train.tsv --images photos --out shards
              diptych data pack --csv train.csv --image-key image --caption-key caption --images photos --out shards
              diptych data pack --coco captions_val2017.json --images val2017 --out shards
            """)

    @Option(help: "A CSV or TSV file with a header line.") var csv: String?
    @Option(help: "A COCO captions JSON.") var coco: String?
    @Option(help: "The folder of the images.") var images = "."
    @Option(help: "The folder of the shards.") var out: String
    @Option(help: "The table's column of file names.") var imageKey = "filepath"
    @Option(help: "The table's column of captions.") var captionKey = "title"
    @Option(help: "comma or tab; default: what the header line holds.") var separator: Separator?
    @Option(help: "Samples per shard.") var shardSize = 5000

    enum Separator: String, ExpressibleByArgument, CaseIterable { case comma, tab }

    func validate() throws {
        if (csv == nil) == (coco == nil) { throw ValidationError("Give exactly one of --csv and --coco.") }
        if shardSize < 1 { throw ValidationError("--shard-size must be positive.") }
    }

    func execute() throws {
        let packer: ShardPacker
        if let coco {
            packer = try ShardPacker(coco: coco)
        } else {
            let character: Character? = separator.map { $0 == .comma ? "," : "\t" }
            packer = try ShardPacker(table: csv!, separator: character, imageKey: imageKey, captionKey: captionKey)
        }
        let progress = ProgressLine("pack", total: packer.rows.count)
        let tally = try packer.write(images: images, to: out, shardSize: shardSize) { progress.update($0) }
        progress.finish()
        if tally.total > 0 { say("left out: \(tally.summary)") }
        print("\(packer.rows.count - tally.total) samples in \(out)")
    }
}

struct DataCheck: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Count samples, sizes and faults of shards.",
        discussion: """
            Decodes every image and reads every caption. Exits with 65 when a sample is faulty.

            EXAMPLES
              diptych data check 'shards/shard-{00000..00003}.tar'
              diptych data check flickr8k --tokenizer Tokenizers/clip-bpe --context 32
            """)

    @Argument(help: "Shards: files, brace patterns or folders.") var shards: [String]
    @Option(help: "A tokenizer folder: counts the captions that the context length cuts.") var tokenizer: String?
    @Option(help: "Context length.") var context = 77
    @Option(help: "Read captions from this field of each sample's JSON.") var captionKey: String?
    @Flag(help: "Print JSON on standard output.") var json = false

    func execute() throws {
        let tokenizer = try tokenizer.map { try TokenizerCard($0).load() }
        let paths = try shards.flatMap(expandShards)
        let progress = ProgressLine("check", total: paths.count)
        let check = try ShardCheck(
            paths, fields: SampleFields(captionKey: captionKey), tokenizer: tokenizer, contextLength: context
        ) { done, _ in progress.update(done) }
        progress.finish()
        if json {
            print(check.json.text(indent: 2))
        } else {
            print("shards    \(check.shards), \(formatBytes(check.bytes))")
            print("samples   \(check.samples)")
            if check.sides.most > 0 { print("sides     \(check.sides.least) to \(check.sides.most) pixels") }
            print("captions  \(check.captions)")
            if tokenizer != nil, check.captions > 0 {
                print(
                    String(
                        format: "cut       %d captions (%.2f %%) at context length %d", check.cutCaptions,
                        100 * Double(check.cutCaptions) / Double(check.captions), context))
            }
            print("faults    \(check.faults.total)")
            for (reason, count) in check.faults.counts.sorted(by: { $0.key < $1.key }) {
                print("  \(count) \(reason), first \(check.faults.examples[reason] ?? "?")")
            }
        }
        if check.faults.total > 0 {
            throw Failure(
                .badData, shards.joined(separator: " "), "\(check.faults.total) faults in \(check.samples) samples")
        }
    }
}
