import Evaluation
import Foundation
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct TextTests {
    @Test(
        "Text is mended as ftfy mends it",
        arguments: [
            ("plain text", "plain text"), ("cafÃ© au lait", "café au lait"), ("Ã la carte", "à la carte"),
            ("â€œquotedâ€\u{9D}", "\"quoted\""), ("donâ€™t", "don't"), ("ＷＩＤＥ　text", "WIDE text"),
            ("ﬁne ﬂoor", "fine floor"), ("ÃƒÂ©", "é"), ("e\u{301}", "é"), ("a\u{200B}b\u{7}", "a\u{200B}b"),
            ("&eacute;&EACUTE; &amp;", "éÉ &"), ("5 < 6 &amp; 7", "5 < 6 &amp; 7"),
            ("one\r\ntwo\u{2028}", "one\ntwo\n"),
            ("\u{1B}[36;44mblue", "blue"), ("voilÃ  le travail", "voilà le travail"), ("Größe", "Größe"),
        ])
    func mending(_ text: String, _ mended: String) {
        #expect(TextRepair.mended(text).unicodeScalars.elementsEqual(mended.unicodeScalars))
    }

    @Test("Every task that is shipped can be read")
    func tasks() throws {
        let folder = Places.project + "/Evals/tasks"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
        #expect(names.count >= 24)
        for name in names {
            let task = try TaskFile.read("\(folder)/\(name)")
            #expect(task.name + ".yaml" == name)
            #expect(
                task is ZeroShotRetrieval
                    || task.protocolParts.classNames.count > 1 && !task.protocolParts.templates.isEmpty, "\(name)")
        }
    }

    @Test("A Karpathy split is read by its test images")
    func karpathy() throws {
        try Places.withFolder { folder in
            let text = """
                {"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "no"}]},
                  {"filename": "b.jpg", "filepath": "val", "split": "test", "sentences": [{"raw": "one"}, {"raw": "two"}]}]}
                """
            try AtomicFile.write(text, to: folder + "/split.json")
            let images = try COCOCaptions(folder + "/split.json", split: "test").images
            #expect(images.map(\.file) == ["val/b.jpg"])
            #expect(images[0].captions == ["one", "two"])
        }
    }

    @Test("The short way for plain text gives the ids of the long way")
    func plainText() throws {
        let vocabulary = cacheFolder + "/tokenizers/clip-bpe/bpe_simple_vocab_16e6.txt.gz"
        let tokenizer = try BPETokenizer(vocabulary: vocabulary)
        var random = RandomStream(seed: 4, purpose: "plain texts")
        let words = [
            "a", "Photo", "of", "the", "dog's", "they'll", "WE'RE", "3rd", "1024x768", "--", "!!!", "can't", "'s",
            "x'd",
            "incomprehensibilities", "Donaudampfschifffahrt", ".'s", "\"hi\"", "#tag", "a.b.c", "it's.", "''t", "  ",
            "~",
        ]
        for _ in 0..<500 {
            let text = (0..<random.integer(below: 9)).map { _ in words[random.integer(below: words.count)] }
                .joined(separator: random.uniform() < 0.8 ? " " : "")
            for context in [3, 8, 77] {
                let ids = Array(([tokenizer.start] + tokenizer.encode(text)).prefix(context - 1)) + [tokenizer.end]
                let row = ids + [Int32](repeating: 0, count: context - ids.count)
                #expect(tokenizer.row(text, contextLength: context) == row, "\(text)")
            }
        }
    }
}
