import Foundation
import Images
import Shards
import Support
import TestKit
import Testing
import Tokenization

/// Formats are bytes: what people's files hold beside what the formats' descriptions say.
@Suite("Formats")
struct FormatTests {
    /// A tar of these members, closed.
    private func tar(_ members: [(name: [UInt8], data: Data)], at path: String) throws {
        try AtomicFile.write(to: path) { file in
            let tar = TarWriter(file)
            for (name, data) in members { try tar.add(String(nameBytes: name), data) }
            try tar.finish()
        }
    }

    private func tar(_ members: [(String, String)], at path: String) throws {
        try tar(members.map { (Array($0.0.utf8), Data($0.1.utf8)) }, at: path)
    }

    private func json(_ text: String) throws -> JSON { try JSON(parsing: Data(text.utf8), path: "x.json") }

    @Test("JSON is read as Python's json reads it")
    func pythonJSON() throws {
        #expect(try json("{\"a\": NaN}")["a"]?.number?.isNaN == true)
        #expect(try json("[Infinity, -Infinity]") == .array([.number(.infinity), .number(-.infinity)]))
        #expect(try json("\"\\ud83d\\ude00 \\ud800x\"").string == "\u{1F600} \u{FFFD}x")
        #expect(try json("{\"a\": 1, \"a\": 2}")["a"] == 2)
        #expect(try json("123456789012345678901234567890").number == 123456789012345678901234567890)
        #expect(try json("-0.5e-3").number == -0.0005)
        for wrong in ["", "{", "[1,]", "{\"a\"}", "01", "1.", "tru", "\"\u{1}\"", "[1] 2", "\"\\q\"", "+1"] {
            #expect(throws: Failure.self, "\(wrong)") { try json(wrong) }
        }
        #expect(throws: Failure.self) { try json(String(repeating: "[", count: 100_000)) }
    }

    @Test("Names that differ in bytes are different samples, also where they are canonically equivalent or no UTF-8")
    func names() throws {
        try Places.withFolder { folder in
            let path = folder + "/x.tar"
            let (one, two, three) = (
                Array("caf\u{E9}".utf8), Array("cafe\u{301}".utf8), [0x63, 0x61, 0x66, 0xE9] as [UInt8]
            )
            try tar([one, two, three].map { ($0 + Array(".txt".utf8), Data("a".utf8)) }, at: path)
            let keys = try Shard(path).all().map(\.key.nameBytes)
            #expect(keys == [one, two, three])
            #expect(String(nameBytes: three).shownName == "caf\\xE9")
        }
    }

    @Test("A suffix that comes again begins a new sample; members without key and suffix are told")
    func twice() throws {
        try Places.withFolder { folder in
            let path = folder + "/x.tar"
            try tar([("a.txt", "first"), ("a.txt", "second"), ("b/.hidden", ""), ("noext", "")], at: path)
            let shard = try Shard(path)
            #expect(try shard.all().map { try $0.captions() } == [["first"], ["second"]])
            #expect(shard.notes == ["2 members without a key and a suffix passed over"])
        }
    }

    @Test("No cut of a tar passes, plain or gzip")
    func cuts() throws {
        try Places.withFolder { folder in
            try tar(
                [("a.txt", "one"), ("b.txt", String(repeating: "x", count: 700)), ("c.txt", "")], at: folder + "/x.tar")
            let whole = try readFile(folder + "/x.tar")
            #expect(try Shard(folder + "/x.tar").count == 3)
            for length in stride(from: 0, to: whole.count, by: 64) {
                try AtomicFile.write(whole.prefix(length), to: folder + "/cut.tar")
                #expect(throws: Failure.self, "\(length) of \(whole.count) bytes") { try Shard(folder + "/cut.tar") }
            }
            try AtomicFile.write(Data(count: 10240), to: folder + "/zeros.tar")
            #expect(throws: Failure.self) { try Shard(folder + "/zeros.tar") }
        }
    }

    @Test("Lines end at LF and CRLF alone, whole captions keep their lines, other bytes than UTF-8 are a fault")
    func captions() throws {
        try Places.withFolder { folder in
            let path = folder + "/x.tar"
            let odd = "one\u{2028}still one\u{85}\u{B}\r\n two \n\n"
            try tar(
                [(Array("a.txt".utf8), Data(odd.utf8)), (Array("b.txt".utf8), Data([0x63, 0xE9]))], at: path)
            let shard = try Shard(path)
            #expect(try shard.all()[0].captions() == ["one\u{2028}still one", "two"])
            #expect(
                try shard.all()[0].captions(SampleFields(form: .whole)) == [
                    "one\u{2028}still one\u{85}\u{B}\r\n two"
                ])
            #expect(throws: SampleFault.self) { try shard.all()[1].captions() }
            let check = try ShardCheck([path], tokenizer: nil, contextLength: 77)
            #expect(check.faults.counts == ["caption not UTF-8": 1, "no image": 2])
        }
    }

    @Test("data check goes on over damaged shards and names them")
    func goesOn() throws {
        try Places.withFolder { folder in
            try tar([("a.cls", "1")], at: folder + "/0.tar")
            try AtomicFile.write(Data(), to: folder + "/1.tar")
            try tar([("b.cls", "1")], at: folder + "/2.tar")
            try AtomicFile.write(try readFile(folder + "/0.tar").prefix(1300), to: folder + "/3.tar")
            let check = try ShardCheck(expandShards(folder), tokenizer: nil, contextLength: 77)
            #expect(check.samples == 2)
            #expect(check.damaged.map(\.subject) == [folder + "/1.tar", folder + "/3.tar"])
        }
    }

    private func rows(_ table: String, in folder: String) throws -> [ShardPacker.Row] {
        try AtomicFile.write(table, to: folder + "/t.csv")
        return try ShardPacker(
            table: folder + "/t.csv", separator: nil, imageKey: "filepath", captionKey: "title"
        ).rows
    }

    private func captions(_ table: String, in folder: String) throws -> [[String]] {
        try rows(table, in: folder).map(\.captions)
    }

    @Test("Tables are bytes: a mark before them, any scalar beside a comma or quote, other line ends inside of cells")
    func tables() throws {
        try Places.withFolder { (folder: String) throws -> Void in
            #expect(try captions("\u{FEFF}filepath,title\na,b\n", in: folder) == [["b"]])
            #expect(try captions("filepath,title\na,\u{301}b\n", in: folder) == [["\u{301}b"]])
            #expect(try captions("filepath,title\na,\"x\"\u{FE0F}\n", in: folder) == [["x\u{FE0F}"]])
            #expect(
                try captions("filepath,title\na,x\u{85}y\u{2028}z\rb,w", in: folder) == [["x\u{85}y\u{2028}z"], ["w"]])
            #expect(try captions(" filepath ; title\na;b, c\n", in: folder) == [["b, c"]])
            #expect(try captions("filepath,title\na,\nb,c\n", in: folder) == [["c"]])
            #expect(try rows("filepath,title\ncaf\u{E9},a\ncafe\u{301},b\n", in: folder).count == 2)
            let open = #expect(throws: Failure.self) { try captions("filepath,title\na,b\nc,\"d\ne,f\n", in: folder) }
            #expect(open?.subject == folder + "/t.csv:3")
            let late = #expect(throws: Failure.self) {
                try captions("filepath,title\na,\"b\nc,d\ne,\"f\"\n", in: folder)
            }
            #expect(late?.subject == folder + "/t.csv:2")
        }
    }

    @Test("COCO images without captions are counted, a Karpathy file wants its split")
    func coco() throws {
        try Places.withFolder { folder in
            try AtomicFile.write(
                "{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}, {\"id\": \"x\", \"file_name\": \"b.jpg\"}],"
                    + "\"annotations\": [{\"image_id\": \"x\", \"caption\": \"b\"}, {\"image_id\": \"x\", \"caption\": \" \"},"
                    + "{\"image_id\": 7, \"caption\": \"nobody\"}, {\"image_id\": 1, \"caption\": null}]}",
                to: folder + "/c.json")
            let file = try COCOCaptions(folder + "/c.json", split: nil)
            #expect(file.images.map(\.captions) == [["b"]] && file.withoutCaptions == 1)
            #expect(
                file.leftOut.counts == [
                    "empty caption": 1, "caption of no image": 1, "annotation without a caption": 1,
                ])
            let image = { (name: String, split: String) in
                "{\"filename\": \"\(name)\", \"split\": \"\(split)\", \"sentences\": [{\"raw\": \"c\"}]}"
            }
            try AtomicFile.write(
                "{\"images\": [\(image("a", "train")), \(image("b", "restval")), \(image("c", "val"))]}",
                to: folder + "/k.json")
            #expect(throws: Failure.self) { try COCOCaptions(folder + "/k.json", split: nil) }
            #expect(throws: Failure.self) { try COCOCaptions(folder + "/c.json", split: "train") }
            let both = try COCOCaptions(folder + "/k.json", split: "train+restval")
            #expect(both.images.map(\.file) == ["a", "b"])
            #expect(both.split == "train+restval (not taken: val (1 images))")
        }
    }

    @Test("Folders are walked through links, dot files passed over, a link in a circle once")
    func folders() throws {
        try Places.withFolder { folder in
            try Files.makeFolder(folder + "/real/sub")
            for name in ["real/a.jpg", "real/sub/b.PNG", "real/._a.jpg", "real/c.txt"] {
                try AtomicFile.write("x", to: folder + "/" + name)
            }
            symlink(folder + "/real", folder + "/link")
            symlink(folder + "/real", folder + "/real/sub/circle")
            let images = try ImageFiles(folder + "/link")
            #expect(images.files == ["a.jpg", "sub/b.PNG"])
            #expect(images.note?.hasSuffix("1 x .txt") == true)
        }
    }

    @Test("A gzip shard is read at any place without being held, padding of zeros apart")
    func gzip() throws {
        try Places.withFolder { folder in
            var random = RandomStream(seed: 1, purpose: "noise")
            let texts = (0..<40).map { index in
                "\(index) " + String((0..<40_000).map { _ in "abcdefgh ".randomElement(using: &random)! })
            }
            try tar(texts.enumerated().map { (String(format: "%02d.txt", $0), $1) }, at: folder + "/x.tar")
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", "gzip -k '\(folder)/x.tar' && head -c 1000 /dev/zero >> '\(folder)/x.tar.gz'"]
            try process.run()
            process.waitUntilExit()
            let shard = try Shard(folder + "/x.tar.gz")
            #expect(shard.notes.isEmpty)
            for index in [39, 0, 17, 38, 17] {
                #expect(try shard.all()[index].captions() == [texts[index].trimmingCharacters(in: .whitespaces)])
            }
            let whole = try readFile(folder + "/x.tar.gz")
            try AtomicFile.write(whole.prefix(whole.count - 1004), to: folder + "/cut.tar.gz")
            #expect(throws: Failure.self) { try Shard(folder + "/cut.tar.gz") }
        }
    }

    @Test("What a file names never leaves its folder, and temporary names are nobody's to guess")
    func places() throws {
        for name in ["../x", "a/b", "/etc/x", "", ".x", "..", "a\u{0}b", "caf\u{E9}"] {
            #expect(throws: Failure.self, "\(name)") { try Files.inside("f", name, of: "x") }
        }
        #expect(try Files.inside("f", "tokenizer.model", of: "x") == "f/tokenizer.model")
        try Places.withFolder { folder in
            try AtomicFile.write("x", to: folder + "/a.1y2p0ij32e8e7.diptych.tmp")
            try AtomicFile.write("x", to: folder + "/notes.old.tmp")
            try AtomicFile.removeLeftOvers(in: folder)
            #expect(try Files.names(in: folder) == ["notes.old.tmp"])
        }
    }

    @Test("What is no regular file is refused at once", arguments: ["/dev/zero", "/dev"])
    func irregular(_ path: String) {
        #expect(throws: Failure.self) { try readFile(path) }
    }

    @Test("A long word is merged as short ones are, in time that does not grow with its square")
    func longWords() throws {
        let vocabulary = BPETokenizer.installedVocabulary
        let tokenizer = try BPETokenizer(vocabulary: vocabulary)
        // Every merge of a repeated word is one of a single copy's, so the tokens repeat from some place on.
        let ids = tokenizer.encode(String(repeating: "ab", count: 5000))
        #expect(ids.count > 1000 && Set(ids[10..<ids.count - 10]).count <= 4)
        let start = ContinuousClock.now
        let row = tokenizer.row(String(repeating: "qxzjk", count: 20_000), contextLength: 77)
        // As with spaces of any kind and letters that are not ASCII.
        _ = tokenizer.row(String(repeating: "\u{E9} \u{4E2D}", count: 50_000), contextLength: 77)
        let chain = tokenizer.row("&" + String(repeating: "amp;", count: 25_000) + "lt;b", contextLength: 77)
        #expect(row.count == 77 && chain.count == 77)
        #expect(chain == tokenizer.row("&amp;lt;b", contextLength: 77))
        #expect(ContinuousClock.now - start < .seconds(20), "quadratic time would be minutes")
    }
}
