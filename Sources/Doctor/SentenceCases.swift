import Models
import Encoders
import Foundation
import Support
import Tokenization
import Weights

extension Doctor {
    /// A BERT sentence encoder: ids, and rows by its pooler (transformers' BertModel).
    func sentenceCases() throws -> [StageResult] {
        let folder = path("sentence")
        let tokenizer = try WordPieceTokenizer(vocabulary: folder + "/vocab.txt")
        let cases = try JSON(file: folder + "/cases.json").array ?? []
        var ids = Comparison(
            "word pieces", Tolerance(absolute: 0, relative: 0), cause: "cleaning, or how words are cut into pieces")
        let rows = cases.map { tokenizer.sequence($0["text"]?.string ?? "", limit: 32) }
        for (one, row) in zip(cases, rows) {
            let expected = (one["ids"]?.array ?? []).map { $0.number ?? .nan }
            ids.compare(one["text"]?.string ?? "", expected, row.map { Double($0) })
        }
        var features = Comparison(
            "rows by the pooler", Tolerance(absolute: 1e-6, relative: 0), cause: "the encoder's norms, or its pooling")
        let model = try SentenceModel(SentenceFolder(folder), on: device)
        let expected = try Safetensors(folder + "/expected.safetensors").floats("pooler")
        features.compare("pooler", expected.map { Double($0) }, model.encode(rows).map { Double($0) })
        return [ids.result, features.result]
    }
}
