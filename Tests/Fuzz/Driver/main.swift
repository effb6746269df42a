import Foundation

// fuzz READER SECONDS [--seed N] [--corpus DIR] [--keep FILE]   inputs made from the corpus, read in this process
// fuzz READER --replay FILE [--keep FILE]                       one input as it is
// fuzz --list                                                   the readers' names
//
// What ends the process is a finding, and the input stands in the kept file (see Keeper.swift). Exit codes of its own:
// 97 an error of a foreign type or a broken promise, 98 over 1 GB of memory, 99 over 5 s.
do {
    try Fuzzer.run(Array(CommandLine.arguments.dropFirst()))
} catch {
    FileHandle.standardError.write(Data("fuzz: \(error)\n".utf8))
    exit(64)
}
