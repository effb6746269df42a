import Foundation

/// A line chart as inline SVG. Long series are shown as the mean of their bins over a pale range.
package struct Chart {
    let title: String
    package let lines: [(name: String, points: [(x: Double, y: Double)], colour: Int)]
    private let width = 460.0
    private let height = 200.0
    private let bottom = 24.0
    private let top = 10.0
    private let right = 10.0

    init(title: String, lines: [(String, [(x: Double, y: Double)], Int)]) {
        self.title = title
        self.lines = lines.map { line in
            // Past these a line shows nothing, and differences overflow.
            let points = line.1.filter { abs($0.x) <= Self.largestX && abs($0.y) <= Self.largestY }
            return (name: line.0, points: points, colour: line.2)
        }.filter { !$0.points.isEmpty }
    }

    private static let largestX = 1e15
    private static let largestY = 1e100

    var isEmpty: Bool { lines.isEmpty }

    var svg: String {
        let all = lines.flatMap(\.points)
        guard let x0 = all.map(\.x).min(), let most = all.map(\.x).max(), var y0 = all.map(\.y).min(),
            var y1 = all.map(\.y).max()
        else { return "" }
        let x1 = max(most, x0 + 1)
        let least = max(1e-12, 1e-9 * max(abs(y0), abs(y1)))
        if y1 - y0 < least {
            let margin = max(0.5, least)
            (y0, y1) = (y0 - margin, y1 + margin)
        }
        let ticks = Self.ticks(y0, y1)
        (y0, y1) = (min(y0, ticks.first ?? y0), max(y1, ticks.last ?? y1))
        let left = 12 + 7 * Double(max(5, ticks.map { Self.label($0).count }.max() ?? 0))  // the labels stand here
        func px(_ x: Double) -> String { String(format: "%.1f", left + (x - x0) / (x1 - x0) * (width - left - right)) }
        func py(_ y: Double) -> String {
            String(format: "%.1f", height - bottom - (y - y0) / (y1 - y0) * (height - bottom - top))
        }
        var marks = ""
        for tick in ticks {
            marks +=
                "<line x1=\"\(left)\" x2=\"\(width - right)\" y1=\"\(py(tick))\" y2=\"\(py(tick))\" stroke=\"var(--line)\"/>"
            marks += "<text x=\"\(left - 6)\" y=\"\(py(tick))\" dy=\"4\" text-anchor=\"end\">\(Self.label(tick))</text>"
        }
        for x in [x0, (x0 + x1) / 2, x1] {
            let anchor = x == x0 ? "start" : x == x1 ? "end" : "middle"
            marks += "<text x=\"\(px(x))\" y=\"\(height - 6)\" text-anchor=\"\(anchor)\">\(Int(x.rounded()))</text>"
        }
        for line in lines {
            let colour = line.colour == 0 ? "var(--a)" : "var(--b)"
            let bins = Self.bins(line.points, 160)
            if line.points.count > bins.count {
                let range =
                    bins.map { "\(px($0.x)),\(py($0.high))" } + bins.reversed().map { "\(px($0.x)),\(py($0.low))" }
                marks += "<polygon points=\"\(range.joined(separator: " "))\" fill=\"\(colour)\" opacity=\".16\"/>"
            }
            let path = bins.map { "\(px($0.x)),\(py($0.mean))" }.joined(separator: " ")
            marks +=
                "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\" stroke-linejoin=\"round\"/>"
        }
        let legend =
            lines.count > 1
            ? lines.map { "<span style=\"color:\($0.colour == 0 ? "var(--a)" : "var(--b)")\">\($0.name)</span>" }
                .joined(separator: " · ") : ""
        return
            "<div class=\"card\"><h3>\(HTML.escape(title)) \(legend)</h3><svg viewBox=\"0 0 \(Int(width)) \(Int(height))\">\(marks)</svg></div>"
    }

    private static func bins(_ points: [(x: Double, y: Double)], _ count: Int) -> [(
        x: Double, low: Double, mean: Double, high: Double
    )] {
        let size = max(1, (points.count + count - 1) / count)
        return stride(from: 0, to: points.count, by: size).map { start in
            let part = points[start..<min(points.count, start + size)]
            let ys = part.map(\.y)
            let share = Double(part.count)
            return (part.map(\.x).reduce(0, +) / share, ys.min() ?? 0, ys.reduce(0, +) / share, ys.max() ?? 0)
        }
    }

    /// Four or five round numbers that cover the range.
    private static func ticks(_ low: Double, _ high: Double) -> [Double] {
        let rough = (high - low) / 4
        let magnitude = pow(10, log10(rough).rounded(.down))
        let step = [1, 2, 2.5, 5, 10].map { $0 * magnitude }.first { $0 >= rough } ?? 10 * magnitude
        return stride(
            from: (low / step).rounded(.down) * step, through: (high / step).rounded(.up) * step + step / 2, by: step
        ).map { $0 }
    }

    private static func label(_ value: Double) -> String {
        if abs(value) < 1e-12 { return "0" }
        return String(format: "%g", (value * 1e6).rounded() / 1e6)
    }
}
