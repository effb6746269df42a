import Foundation
package import Images
import Support

extension Scene {
    /// Draws the scene: shapes as signed distances, four samples a pixel side for smooth edges, a little noise.
    ///
    /// - Parameters:
    ///   - side: pixels
    ///   - number: with the seed, keys the noise
    package func render(side: Int, number: Int, seed: UInt64) -> PixelImage {
        var random = RandomStream(seed: seed, purpose: "noise", sample: number)
        let shade = random.uniform(0.92, 1.08)
        let ground = background.rgb.map { $0 * shade }
        var pixels = [UInt8](repeating: 0, count: side * side * 3)
        let grid = 3
        for row in 0..<side {
            for column in 0..<side {
                var sum = (0.0, 0.0, 0.0)
                for sub in 0..<grid * grid {
                    let x = (Double(column) + (Double(sub % grid) + 0.5) / Double(grid)) / Double(side)
                    let y = (Double(row) + (Double(sub / grid) + 0.5) / Double(grid)) / Double(side)
                    let colour = self.colour(x, y) ?? ground
                    sum = (sum.0 + colour[0], sum.1 + colour[1], sum.2 + colour[2])
                }
                let noise = random.uniform(-6, 6)
                for (channel, value) in [sum.0, sum.1, sum.2].enumerated() {
                    pixels[(row * side + column) * 3 + channel] = UInt8(
                        min(255, max(0, value / Double(grid * grid) + noise)))
                }
            }
        }
        return PixelImage(width: side, height: side, pixels: pixels)
    }

    /// The colour of the object here, the last one on top; nil for the background.
    private func colour(_ x: Double, _ y: Double) -> [Double]? {
        for object in objects.reversed() {
            let (dx, dy) = ((x - object.x) / object.radius, (y - object.y) / object.radius)
            guard dx * dx + dy * dy < 2 else { continue }
            let u = dx * cos(object.angle) + dy * sin(object.angle)
            let v = -dx * sin(object.angle) + dy * cos(object.angle)
            guard object.shape.contains(u, v) else { continue }
            // A dark outline, as in a picture book: the shape shows whatever the colours are.
            guard object.shape.contains(u * 1.2, v * 1.2) else { return [40, 40, 46] }
            return object.texture.shaded(object.colour.rgb, u, v)
        }
        return nil
    }
}

extension Scene.Shape {
    /// Inside the shape of radius 1 around the origin, y downwards.
    func contains(_ x: Double, _ y: Double) -> Bool {
        let r2 = x * x + y * y
        switch self {
        case .circle: return r2 < 0.85
        case .square: return max(abs(x), abs(y)) < 0.8
        case .triangle: return y < 0.75 && y > 1.9 * abs(x) - 0.95
        case .star:
            // A five-pointed star: the radius swings with the angle between two regular pentagons.
            let sector = 2 * Double.pi / 5
            var angle = (atan2(x, -y)).truncatingRemainder(dividingBy: sector)
            if angle < 0 { angle += sector }
            let t = abs(angle - sector / 2) / (sector / 2)  // 1 at the points
            let (outer, inner) = (1.0, 0.42)
            // The edge between an outer point and an inner one is straight.
            let phi = (1 - t) * sector / 2
            let (ex, ey) = (inner * cos(sector / 2) - outer, inner * sin(sector / 2))
            let limit = outer * ey / (ey * cos(phi) - ex * sin(phi))
            return r2.squareRoot() < limit
        case .heart:
            let (u, v) = (x * 1.15, -y * 1.15 + 0.15)
            let a = u * u + v * v - 0.75
            return a * a * a - u * u * v * v * v * 1.1 < 0
        case .cross: return (abs(x) < 0.28 && abs(y) < 0.9) || (abs(y) < 0.28 && abs(x) < 0.9)
        case .ring: return r2 < 0.9 && r2 > 0.3
        case .diamond: return abs(x) * 1.45 + abs(y) < 1
        case .hexagon: return max(abs(y), abs(x) * 0.866 + abs(y) * 0.5) < 0.8
        case .crescent: return r2 < 0.9 && (x - 0.42) * (x - 0.42) + y * y > 0.52
        }
    }
}

extension Scene.Colour {
    var rgb: [Double] {
        switch self {
        case .red: [214, 32, 36]
        case .green: [30, 160, 50]
        case .blue: [32, 70, 220]
        case .yellow: [246, 222, 30]
        case .orange: [250, 136, 14]
        case .purple: [128, 34, 168]
        case .pink: [255, 130, 190]
        case .brown: [116, 66, 26]
        case .black: [18, 18, 20]
        case .white: [250, 250, 250]
        }
    }
}

extension Scene.Background {
    var rgb: [Double] {
        switch self {
        case .grey: [158, 158, 158]
        case .beige: [208, 190, 156]
        case .teal: [90, 160, 160]
        case .lavender: [178, 170, 208]
        case .slate: [96, 108, 124]
        }
    }
}

extension Scene.Texture {
    /// Stripes and dots are a lighter or darker shade of the object's own colour.
    func shaded(_ rgb: [Double], _ x: Double, _ y: Double) -> [Double] {
        let isMarked: Bool
        switch self {
        case .plain: return rgb
        case .striped: isMarked = ((x + y) * 2.6).truncatingRemainder(dividingBy: 1).magnitude < 0.38
        case .dotted:
            let (u, v) = ((x + 2) * 2.2, (y + 2) * 2.2)
            let (du, dv) = (u - u.rounded(), v - v.rounded())
            isMarked = du * du + dv * dv < 0.07
        }
        guard isMarked else { return rgb }
        let isDark = rgb.reduce(0, +) < 380
        return rgb.map { isDark ? $0 + (255 - $0) * 0.42 : $0 * 0.66 }
    }
}
