package import Support

/// The factors of a generated scene: what is true of the picture, kept in the sample's JSON.
package struct Scene: Sendable, Equatable {
    package enum Shape: String, Sendable, CaseIterable {
        case circle, square, triangle, star, heart, cross, ring, diamond, hexagon, crescent
    }
    package enum Colour: String, Sendable, CaseIterable {
        case red, green, blue, yellow, orange, purple, pink, brown, black, white
    }
    package enum Size: String, Sendable, CaseIterable { case small, large }
    package enum Texture: String, Sendable, CaseIterable { case plain, striped, dotted }
    package enum Background: String, Sendable, CaseIterable { case grey, beige, teal, lavender, slate }

    package struct Object: Sendable, Equatable {
        package var shape: Shape
        package var colour: Colour
        package var size: Size
        package var texture: Texture
        /// Centre and radius, as shares of the picture's side; angle in radians.
        package var x: Double
        package var y: Double
        package var radius: Double
        package var angle: Double

        /// Index of shape x colour among the 100 classes.
        package var classIndex: Int {
            shape.index * Colour.allCases.count + colour.index
        }
    }

    package var objects: [Object]
    package var background: Background
    /// Which vocabulary its captions use.
    package var domain: Int

    package var json: JSON {
        [
            "objects": .array(
                objects.map {
                    [
                        "shape": .string($0.shape.rawValue), "colour": .string($0.colour.rawValue),
                        "size": .string($0.size.rawValue),
                        "texture": .string($0.texture.rawValue), "x": .number($0.x), "y": .number($0.y),
                        "radius": .number($0.radius),
                    ]
                }),
            "background": .string(background.rawValue), "domain": .integer(domain),
        ]
    }

    /// The 100 class names in the order of `classIndex`: "red circle", "green circle", ...
    package static let classNames = Shape.allCases.flatMap { shape in
        Colour.allCases.map { "\($0.rawValue) \(shape.rawValue)" }
    }

    /// The ten pairs that `withheld` keeps out of training: every shape and every colour once.
    package static func isWithheld(_ shape: Shape, _ colour: Colour) -> Bool {
        (shape.index * 3 + 1) % 10 == colour.index
    }
}

/// What kind of scenes to draw.
package struct SceneRules: Sendable, Equatable {
    package enum Pairs: String, Sendable, CaseIterable {
        /// All 100 shape-colour pairs.
        case all
        /// The 90 that are not withheld.
        case seen
        /// Only the ten withheld ones.
        case withheld
    }

    package var objects: ClosedRange<Int> = 1...4
    package var pairs: Pairs = .all
    /// Groups of scenes, each with its own vocabulary and its own choice of what to mention.
    package var domains = 1
    /// Chance of a caption so general that it fits other scenes too: false negatives.
    package var ambiguity = 0.0
    /// Chance that an object's colour follows from its shape.
    package var correlation = 0.0
    /// Reverses that link: with correlation, the colours are never the linked ones (counter-examples).
    package var isCounter = false
    package var captions = 3
    /// No caption stands twice in the whole set.
    package var isDistinct = false
    /// Side in pixels.
    package var side = 64

    package init() {}

    /// The scene with this number: a function of (seed, number) and the rules.
    package func scene(_ number: Int, seed: UInt64) -> Scene {
        var random = RandomStream(seed: seed, purpose: "scene", sample: number)
        let count = objects.lowerBound + random.integer(below: objects.count)
        var scene = Scene(objects: [], background: pick(&random), domain: random.integer(below: max(1, domains)))
        let slots = Self.slots(count, &random)
        for slot in slots {
            let size: Scene.Size = pick(&random)
            let (shape, colour) = pair(&random)
            // One object may fill most of the picture; four share it.
            let room = count == 1 ? 0.42 : 0.23
            let radius = room * (size == .large ? random.uniform(0.85, 1) : random.uniform(0.58, 0.68))
            let play = max(0, (count == 1 ? 0.46 : 0.24) - radius)
            scene.objects.append(
                Scene.Object(
                    shape: shape, colour: colour, size: size, texture: texture(&random),
                    x: slot.x + random.uniform(-play, play),
                    y: slot.y + random.uniform(-play, play), radius: radius, angle: random.uniform(-0.25, 0.25)))
        }
        return scene
    }

    private func pick<Value: CaseIterable>(_ random: inout RandomStream) -> Value {
        let all = Array(Value.allCases)
        return all[random.integer(below: all.count)]
    }

    /// Half of all objects are plain.
    private func texture(_ random: inout RandomStream) -> Scene.Texture {
        random.uniform() < 0.5 ? .plain : pick(&random)
    }

    private func pair(_ random: inout RandomStream) -> (Scene.Shape, Scene.Colour) {
        while true {
            let shape: Scene.Shape = pick(&random)
            var colour: Scene.Colour = pick(&random)
            let linked = Scene.Colour.allCases[
                (shape.index + 3) % Scene.Colour.allCases.count]
            if random.uniform() < correlation {
                if isCounter, colour == linked { continue }
                if !isCounter { colour = linked }
            }
            switch pairs {
            case .all: return (shape, colour)
            case .seen: if !Scene.isWithheld(shape, colour) { return (shape, colour) }
            case .withheld: if Scene.isWithheld(shape, colour) { return (shape, colour) }
            }
        }
    }

    /// Centres that keep objects apart.
    private static func slots(_ count: Int, _ random: inout RandomStream) -> [(x: Double, y: Double)] {
        switch count {
        case 1: return [(0.5, 0.5)]
        case 2: return random.uniform() < 0.5 ? [(0.26, 0.5), (0.74, 0.5)] : [(0.5, 0.26), (0.5, 0.74)]
        default:
            var corners: [(x: Double, y: Double)] = [(0.26, 0.26), (0.74, 0.26), (0.26, 0.74), (0.74, 0.74)]
            random.shuffle(&corners)
            return Array(corners.prefix(count))
        }
    }
}

extension CaseIterable where Self: Equatable, AllCases.Index == Int {
    /// Its place among all cases.
    var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
