/// What went wrong with a file, the user's words or the machine: facts, phrased in one place.
///
/// A caller's bug is a `precondition` instead; a bad sample in training is counted, not thrown.
package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kinds of failure and their exit codes (sysexits where one fits).
    package enum Kind: Int32, Sendable {
        case checkFailed = 1
        case checkIncomplete = 2
        case usage = 64
        case badData = 65
        case inputMissing = 66
        case ourFault = 70
        /// Threads or memory were refused.
        case machine = 71
        case io = 74
        case interrupted = 75
    }

    package let kind: Kind
    /// The file, line, key or step it is about: `siglip.yaml:14`.
    package let subject: String
    /// What is wrong, without a full stop.
    package let problem: String
    /// What to do about it, without a full stop; empty when the problem says it.
    package let remedy: String

    package init(_ kind: Kind, _ subject: String, _ problem: String, remedy: String = "") {
        self.kind = kind
        self.subject = subject
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String {
        let remedyEnd = remedy.hasSuffix("?") ? "" : "."
        let sentence = remedy.isEmpty ? "\(problem)." : "\(problem). \(remedy)\(remedyEnd)"
        return subject.isEmpty ? sentence : "\(subject.shownName): \(sentence)"
    }
}
