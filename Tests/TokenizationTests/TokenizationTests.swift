import Evaluation
import Foundation
import Images
import Scenes
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct TokenizationTests {
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

    @Test("The bytes that open_clip's own tokenizer writes for a caption")
    func clipRow() throws {
        let tokenizer = try TokenizerCard(Places.project + "/Tokenizers/clip-bpe").load()
        #expect(tokenizer.row("a photo of a cat", contextLength: 8) == [49406, 320, 1125, 539, 320, 2368, 49407, 0])
        #expect(tokenizer.row("a photo of a cat", contextLength: 4) == [49406, 320, 1125, 49407])
    }

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
