import Support

extension SceneRules {
    /// Captions of a scene, each worded anew; a function of (seed, number).
    package func captions(of scene: Scene, _ number: Int, seed: UInt64) -> [String] {
        var random = RandomStream(seed: seed, purpose: "captions", sample: number)
        return (0..<captions).map { _ in
            if random.uniform() < ambiguity { return general(scene, &random) }
            return domains > 1 ? domainCaption(scene, &random) : full(scene, &random)
        }
    }

    private func choose(_ words: [String], _ random: inout RandomStream) -> String {
        words[random.integer(below: words.count)]
    }

    /// Fits many scenes: the shape or the colour alone.
    private func general(_ scene: Scene, _ random: inout RandomStream) -> String {
        let object = scene.objects[random.integer(below: scene.objects.count)]
        return choose(
            [
                "a \(object.shape.rawValue)", "something \(object.colour.rawValue)",
                "a picture with a \(object.shape.rawValue)",
            ], &random)
    }

    private func full(_ scene: Scene, _ random: inout RandomStream) -> String {
        if scene.objects.count == 1 { return single(scene, &random) }
        var objects = scene.objects
        let ending = random.uniform() < 0.3 ? " on a \(scene.background.rawValue) background" : ""
        if objects.count == 2, random.uniform() < 0.6 {
            if random.uniform() < 0.5 { objects.swapAt(0, 1) }
            return
                "\(phrase(objects[0], &random)) \(relation(objects[0], objects[1])) \(phrase(objects[1], &random))\(ending)"
        }
        random.shuffle(&objects)
        let phrases = objects.map { phrase($0, &random) }
        let list = phrases.dropLast().joined(separator: ", ") + " and " + (phrases.last ?? "")
        return choose(["", "a picture of ", "a scene with ", "there is "], &random) + list + ending
    }

    private func single(_ scene: Scene, _ random: inout RandomStream) -> String {
        let object = phrase(scene.objects[0], &random)
        let opening = choose(["", "a picture of ", "a photo of ", "an image of ", "there is ", "we see "], &random)
        let ending: String
        switch random.uniform() {
        case ..<0.25: ending = " on a \(scene.background.rawValue) background"
        case ..<0.4: ending = " in front of \(scene.background.rawValue)"
        default: ending = ""
        }
        return opening + object + ending
    }

    /// "a small striped red circle", size and texture mentioned or not.
    private func phrase(_ object: Scene.Object, _ random: inout RandomStream) -> String {
        var words: [String] = []
        if random.uniform() < 0.35 { words.append(object.size.rawValue) }
        if random.uniform() < 0.35, object.texture != .plain { words.append(object.texture.rawValue) }
        words.append(object.colour.rawValue)
        words.append(object.shape.rawValue)
        let article = words[0].first.map("aeio".contains) == true ? "an" : "a"
        return article + " " + words.joined(separator: " ")
    }

    private func relation(_ first: Scene.Object, _ second: Scene.Object) -> String {
        let (dx, dy) = (second.x - first.x, second.y - first.y)
        if abs(dx) > abs(dy) { return dx > 0 ? "left of" : "right of" }
        return dy > 0 ? "above" : "below"
    }

    /// Each domain speaks of something else in words of its own, so that its captions fit scenes of the
    /// other domains as well: 0 things and colours, 1 places, 2 surfaces, 3 numbers and sizes.
    private func domainCaption(_ scene: Scene, _ random: inout RandomStream) -> String {
        let object = scene.objects[random.integer(below: scene.objects.count)]
        switch scene.domain % 4 {
        case 0: return full(scene, &random)
        case 1:
            let place = object.y < 0.4 ? "upper" : object.y > 0.6 ? "lower" : "middle"
            let side = object.x < 0.4 ? "left" : object.x > 0.6 ? "right" : "centre"
            return choose(
                ["located \(place) \(side)", "positioned at the \(place) \(side)", "layout: \(place), \(side)"], &random
            )
        case 2:
            let finish = object.texture.rawValue
            return choose(
                [
                    "\(finish) finish over \(scene.background.rawValue) paper",
                    "\(scene.background.rawValue) canvas, \(finish) print",
                    "print sample, \(finish), \(scene.background.rawValue)",
                ], &random)
        default:
            let count = ["one item", "two items", "three items", "four items"][scene.objects.count - 1]
            let large = scene.objects.count { $0.size == .large }
            return choose(
                ["\(count), \(large) big", "inventory: \(count) with \(large) big", "count \(count), big \(large)"],
                &random)
        }
    }
}
