/// The candidate within a third of the word's length (in edits), for "Did you mean ...?".
package func didYouMean(_ word: String, among candidates: some Sequence<String>) -> String? {
    let limit = max(1, word.count / 3 + 1)
    return candidates.map { ($0, editDistance(word, $0)) }.filter { $0.1 <= limit }
        .min { ($0.1, $0.0) < ($1.1, $1.0) }?.0
}

/// Levenshtein distance over characters.
func editDistance(_ first: String, _ second: String) -> Int {
    let columns = Array(second)
    var row = Array(0...columns.count)
    for (i, character) in first.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for j in columns.indices {
            let substitution = diagonal + (character == columns[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[columns.count]
}
