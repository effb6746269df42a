import Evaluation
import Foundation
import Images
import Scenes
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct ShardTests {
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
}
