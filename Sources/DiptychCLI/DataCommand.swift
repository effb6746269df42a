import ArgumentParser
import Foundation
import Shards
import Support
import Tokenization

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Make, check and list shards.",
        subcommands: [DataPack.self, DataCheck.self, DataIndex.self])
}

struct DataPack: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack", abstract: "Shards from a table or a COCO captions file, and a folder of images.",
        discussion: """
            EXAMPLES
              diptych data pack --csv train.tsv --images photos --out shards
              diptych data pack --csv train.csv --image-key image --caption-key caption --images photos --out shards
              diptych data pack --coco captions_val2017.json --images val2017 --out shards
              diptych data pack --coco dataset_flickr30k.json --split train --images flickr30k --out shards
            """)

    @Option(help: "A CSV or TSV file with a header line.") var csv: String?
    @Option(help: "A COCO captions JSON.") var coco: String?
    @Option(help: "The folder of the images.") var images = "."
    @Option(help: "The folder of the shards.") var out: String
    @Option(help: "The table's column of file names.") var imageKey = "filepath"
    @Option(help: "The table's column of captions.") var captionKey = "title"
    @Option(help: "comma, tab or semicolon; default: the one by which the header holds both columns.") var separator:
        Separator?
    @Option(help: "Of a Karpathy file the splits to take, joined by +: train+restval.") var split: String?
    @Option(help: "Samples per shard.") var shardSize = 5000

    enum Separator: String, ExpressibleByArgument, CaseIterable {
        case comma, tab, semicolon

        var byte: UInt8 {
            switch self {
            case .comma: UInt8(ascii: ",")
            case .tab: UInt8(ascii: "\t")
            case .semicolon: UInt8(ascii: ";")
            }
        }
    }

    func validate() throws {
        if (csv == nil) == (coco == nil) { throw ValidationError("Give exactly one of --csv and --coco.") }
        if split != nil, coco == nil { throw ValidationError("--split belongs to a Karpathy file, --coco.") }
        if shardSize < 1 { throw ValidationError("--shard-size must be positive.") }
    }

    func execute() throws {
        let packer: ShardPacker
        if let coco {
            packer = try ShardPacker(coco: coco, split: split)
        } else {
            packer = try ShardPacker(
                table: csv ?? "", separator: separator?.byte, imageKey: imageKey, captionKey: captionKey)
        }
        let progress = ProgressLine("pack", total: packer.rows.count)
        let (samples, leftOut) = try packer.write(images: images, to: out, shardSize: shardSize) { progress.update($0) }
        progress.finish()
        if leftOut.total > 0 { say("left out: \(leftOut.summary)") }
        try answer("\(samples) samples in \(out)" + (packer.split.map { ", split \($0)" } ?? ""))
    }
}

struct DataCheck: DiptychCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Count samples, sizes and faults of shards.",
        discussion: """
            Decodes every image and reads every caption of every shard. Exits with 65 when a sample is faulty or a shard
            damaged.

            EXAMPLES
              diptych data check 'shards/shard-{00000..00003}.tar'
              diptych data check flickr8k --tokenizer Tokenizers/clip-bpe --context 32
            """)

    @Argument(help: "Shards: files, brace patterns or folders.") var shards: [String]
    @Option(help: "A tokenizer folder: counts the captions that the context length cuts.") var tokenizer: String?
    @Option(help: "Context length.") var context = 77
    @Option(help: "Read captions from this field of each sample's JSON.") var captionKey: String?
    @Option(help: "What a txt member is: lines (a caption a line) or whole (one caption).") var captions = CaptionForm
        .lines
    @Flag(help: "Print JSON on standard output.") var json = false

    func validate() throws {
        guard (2...1 << 20).contains(context) else { throw ValidationError("--context must be in 2...1048576.") }
    }

    func execute() throws {
        let tokenizer = try tokenizer.map { try TokenizerCard($0).load() }
        let paths = try shards.flatMap(expandShards)
        let progress = ProgressLine("check", total: paths.count)
        let check = try ShardCheck(
            paths, fields: SampleFields(captionKey: captionKey, form: captions), tokenizer: tokenizer,
            contextLength: context
        ) { done, _ in progress.update(done) }
        progress.finish()
        if json {
            try answer(check.json.text(indent: 2))
        } else {
            try answer("shards    \(check.shards), \(formatBytes(check.bytes))")
            try answer("samples   \(check.samples)")
            if check.sides.most > 0 { try answer("sides     \(check.sides.least) to \(check.sides.most) pixels") }
            try answer("captions  \(check.captions)")
            if tokenizer != nil, check.captions > 0 {
                try answer(
                    String(
                        format: "cut       %d captions (%.2f %%) at context length %d", check.cutCaptions,
                        100 * Double(check.cutCaptions) / Double(check.captions), context))
            }
            try answer("faults    \(check.faults.total)")
            for (reason, count) in check.faults.counts.sorted(by: { $0.key < $1.key }) {
                try answer("  \(count) \(reason), first \(check.faults.examples[reason] ?? "?")")
            }
        }
        check.notes.forEach(say)
        for failure in check.damaged { say("damaged: \(failure)") }
        guard check.faults.total > 0 || !check.damaged.isEmpty else { return }
        var problems: [String] = []
        if !check.damaged.isEmpty { problems.append("\(check.damaged.count) of \(paths.count) shards are damaged") }
        if check.faults.total > 0 { problems.append("\(check.faults.total) faults in \(check.samples) samples") }
        throw Failure(
            .badData, shards.joined(separator: " "), problems.joined(separator: ", "),
            remedy: SampleFault.remedy(check.faults.counts.keys))
    }
}

extension CaptionForm: ExpressibleByArgument {}
