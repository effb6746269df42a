import Foundation
import Images
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct TableTests {
    private func json(_ text: String) throws -> JSON { try JSON(parsing: Data(text.utf8), path: "x.json") }

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
}
