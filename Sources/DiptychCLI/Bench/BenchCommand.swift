import ArgumentParser
import Foundation
import Objectives
import Support
import TensorCPU
import TensorCore

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure speed and memory, with the machine's own matmul peak beside them.",
        subcommands: [
            BenchStep.self, BenchFeed.self, BenchEmbed.self, BenchData.self, BenchTokenize.self, BenchLoss.self,
            BenchRetrieval.self, BenchExchange.self, BenchScaling.self,
        ])
}

struct BenchOptions: ParsableArguments {
    @Flag(help: "Print JSON on standard output.") var json = false
    @Flag(help: "Also print the time of every kernel, by its share of the whole.") var profile = false
    @OptionGroup var machine: MachineOptions
    @OptionGroup var precision: PrecisionOptions

    func device() throws -> any Device { try machine.device(precision.precision) }

    /// The rate of a large product of what towers compute in, now, FLOP/s.
    func matmulPeak(on device: any Device) -> Double {
        machine.place == .cpu
            ? DiptychCLI.matmulPeak(threads: machine.threads) : cardPeak(device, precision.precision.element)
    }
}

/// What a benchmark prints: a key and a number for programs, a sentence for people.
struct BenchReport {
    private let title: String
    private var rows: [(key: String, value: JSON, text: String)] = []
    private var kernels: [String: ProfilingDevice.Entry]?
    private var (repetitions, total) = (1, 0.0)

    init(_ title: String) { self.title = title }

    /// - Parameter format: printf's, for the number
    mutating func add(_ key: String, _ value: Double, _ format: String) {
        rows.append((key, .number(value), String(format: format, value)))
    }

    mutating func add(bytes: Int, _ key: String, _ what: String) {
        rows.append((key, .integer(bytes), "\(formatBytes(bytes)) \(what)"))
    }

    /// The rate of products of `flops` in `seconds`, and its share of the machine's: the better of its rates before the
    /// run and now, for the clock drifts.
    mutating func addProducts(_ flops: Double, seconds: Double, peakBefore: Double, peakAfter: Double) {
        let peak = max(peakBefore, peakAfter)
        add("gflops", flops / seconds / 1e9, "%.1f GFLOP/s in products")
        add("matmul_peak_gflops", peak / 1e9, "%.1f GFLOP/s matmul peak of this run")
        add("share_of_peak", flops / seconds / peak, "%.3f of that peak")
    }

    mutating func add(profile kernels: [String: ProfilingDevice.Entry], repetitions: Int, total: Double) {
        (self.kernels, self.repetitions, self.total) = (kernels, repetitions, total)
    }

    func print(_ options: BenchOptions) throws {
        try print(isJSON: options.json)
        if !options.json, options.profile, let kernels { try printProfile(kernels) }
    }

    func print(isJSON: Bool) throws {
        if isJSON {
            var members = Dictionary(uniqueKeysWithValues: rows.map { ($0.key, $0.value) })
            members["what"] = .string(title)
            return try answer(JSON.object(members).text(indent: 2))
        }
        try answer(title)
        for row in rows { try answer("  \(row.text)") }
    }

    /// Kernels by the time they took, and what passed outside of them.
    private func printProfile(_ kernels: [String: ProfilingDevice.Entry]) throws {
        let inside = kernels.values.reduce(0) { $0 + $1.seconds }
        let times = Double(repetitions)
        try answer("     share   ms/round calls/round      GB/s   GFLOP/s  kernel")
        for (name, entry) in kernels.sorted(by: { ($0.value.seconds, $1.key) > ($1.value.seconds, $0.key) }) {
            let rate = entry.flops == 0 ? "" : String(format: "%.1f", Double(entry.flops) / entry.seconds / 1e9)
            let line = String(
                format: "  %6.2f %% %10.2f %11d %9.1f  ", 100 * entry.seconds / total, 1000 * entry.seconds / times,
                entry.calls / repetitions, Double(entry.bytes) / entry.seconds / 1e9)
            try answer(line + String(repeating: " ", count: max(0, 8 - rate.count)) + rate + "  " + name)
        }
        let outside = total - inside
        let line = String(format: "  %6.2f %% %10.2f", 100 * outside / total, 1000 * outside / times)
        try answer(line + "                                  outside kernels")
    }
}

/// The rate of a large product on this machine, now, FLOP/s: the best of six by OpenBLAS and six of our own.
func matmulPeak(threads: Int?) -> Double {
    let size = 1536
    let times = [false, true].flatMap { own in
        let device = CPUDevice(threads: threads, ownProducts: own)
        let a = device.filled(0.5, shape: [size, size])
        let b = device.filled(0.25, shape: [size, size])
        return (0..<6).map { _ in
            let start = Machine.now()
            _ = matmul(a, b)
            return Machine.now() - start
        }
    }
    return 2 * Double(size * size * size) / (times.min() ?? .infinity)
}

/// The same of a card: the best of ten products of random matrices of 8,192.
func cardPeak(_ device: any Device, _ element: Element) -> Double {
    let size = 8192
    var stream = RandomStream(seed: 0, purpose: "peak")
    let values = (0..<1 << 20).map { _ in Float(stream.normal()) }
    let part = device.tensor(values, shape: [values.count])
    let a = device.empty([size, size])
    for start in stride(from: 0, to: size * size, by: values.count) {
        a.reshaped([size * size]).slice(start..<start + values.count).fill(from: part)
    }
    let operand = a.converted(to: element)
    _ = matmul(operand, operand)
    let times = (0..<10).map { _ in
        let start = device.mark()
        _ = matmul(operand, operand)
        guard let start, let end = device.mark() else { return Double.infinity }
        return end.seconds(since: start)
    }
    return 2 * Double(size * size * size) / (times.min() ?? .infinity)
}

/// Seconds of each of `count` calls, after one that is not timed, shortest first.
func timed(_ count: Int, _ body: () throws -> Void) rethrows -> [Double] {
    try body()
    return try (0..<count).map { _ in
        let start = Machine.now()
        try body()
        return Machine.now() - start
    }.sorted()
}

extension [Double] {
    /// Of a sorted list that is not empty.
    var median: Double { self[count / 2] }
    /// The last of a sorted list that is not empty.
    var largest: Double { self[count - 1] }
}

/// Unit rows of random features; nothing but them is left in the device's memory.
func randomFeatures(_ rows: Int, _ width: Int, seed: UInt64, _ device: any Device) -> Tensor {
    var stream = RandomStream(seed: seed, purpose: "bench features")
    var values = [Float]()
    values.reserveCapacity(rows * width)
    for _ in 0..<rows {
        let row = (0..<width).map { _ in stream.normal() }
        let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        values += row.map { Float($0 / norm) }
    }
    return device.tensor(values, shape: [rows, width])
}

extension Objective: ExpressibleByArgument {}
