import Evaluation
import Foundation
import Images
import Support
import TestKit
import Testing

@Suite struct EvaluationSetTests {
    private let picture = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 90, count: 192))

    private func task(_ folder: String, _ lines: String...) throws -> any EvaluationTask {
        try AtomicFile.write(
            (["name: t", "task: zeroshot_classification", "templates: [\"a {}\"]"] + lines).joined(separator: "\n"),
            to: folder + "/task.yaml")
        return try TaskFile.read(folder + "/task.yaml")
    }

    @Test("Labels by an image's number make sets of classes, and images without any are left out and counted")
    func labels() throws {
        try Places.withFolder { folder in
            try AtomicFile.write("[[2, 0], [], [1]]", to: folder + "/labels.json")
            try Files.makeFolder(folder + "/val")
            for number in 1...3 {
                try AtomicFile.write(picture.jpeg(), to: "\(folder)/val/ILSVRC2012_val_0000000\(number).JPEG")
            }
            let task = try task(folder, "classnames: [a, b, c]", "labels: labels.json")
            let set = try EvaluationSet(folder + "/val", task.request)
            #expect(set.items.map(\.classes) == [[2, 0], [1]] && set.skipped == 1)
            try AtomicFile.write(picture.jpeg(), to: folder + "/val/odd.jpg")
            let failure = #expect(throws: Failure.self) { try EvaluationSet(folder + "/val", task.request) }
            #expect(failure?.problem.contains("odd does not end in a number") == true)
        }
    }

    private func pictures(_ files: [String], in folder: String) throws {
        for file in files {
            try Files.makeFolder(folder + "/" + Files.parent(of: file))
            try AtomicFile.write(picture.jpeg(), to: folder + "/" + file)
        }
    }

    @Test("Class folders go by name, WordNet id or number, and by position only with a warning")
    func pairing() throws {
        try Places.withFolder { folder in
            func classes(_ folders: [String], _ lines: String...) throws -> (classes: [Int], note: String) {
                try? Files.remove(folder + "/data")
                try pictures(folders.map { "data/\($0)/x.jpg" }, in: folder)
                try AtomicFile.write(
                    (["name: t", "task: zeroshot_classification", "templates: [\"a {}\"]"] + lines).joined(
                        separator: "\n"),
                    to: folder + "/task.yaml")
                let set = try EvaluationSet(folder + "/data", TaskFile.read(folder + "/task.yaml").request)
                return (set.items.flatMap(\.classes), set.notes.joined(separator: "\n"))
            }
            let animals = "classnames: [polar bear, cat, dog]"
            #expect(try classes(["Cat", "dog", "polar_bear"], animals).classes == [1, 2, 0])
            #expect(try classes(["dog"], animals).classes == [2])
            #expect(
                try classes(["HotDog", "jack-o-lantern"], "classnames: [\"jack-o'-lantern\", hot dog]").classes == [
                    1, 0,
                ])
            let ids = "wordnet_ids: [n00000003, n00000001, n00000002]"
            #expect(try classes(["n00000001", "n00000003"], animals, ids).classes == [1, 0])
            #expect(
                try classes(["2", "10", "0"], "classnames: [a, b, c, d, e, f, g, h, i, j, k]").classes == [0, 2, 10])
            #expect(try classes(["1", "2", "3"], animals).classes == [0, 1, 2])
            let (order, note) = try classes(["x", "y", "z"], animals)
            #expect(order == [0, 1, 2] && note.contains("WARNING") && note.contains("x = \"polar bear\""))
            let stray = #expect(throws: Failure.self) { try classes(["cat", "dog", "cow"], animals) }
            #expect(stray?.problem.contains("\"cow\"") == true)
            #expect(throws: Failure.self) { try classes(["x", "y"], animals) }
        }
    }

    @Test("Every image below a class folder counts, others are told, and an empty class is an error")
    func depth() throws {
        try Places.withFolder { folder in
            try pictures(
                ["d/a/1.jpg", "d/a/sub/deep/2.PNG", "d/b/3.gif", "d/loose.jpg", "d/a/._1.jpg", "d/a/n.txt"], in: folder)
            let task = try task(folder, "classnames: [a, b]")
            let set = try EvaluationSet(folder + "/d", task.request)
            #expect(set.items.map(\.key) == ["a/1", "a/sub/deep/2", "b/3"])
            #expect(set.notes.contains { $0.contains("1 images that stand in no class folder") })
            #expect(set.notes.contains { $0.hasSuffix("1 x .txt") })
            try Files.remove(folder + "/d/b/3.gif")
            let empty = #expect(throws: Failure.self) { try EvaluationSet(folder + "/d", task.request) }
            #expect(empty?.problem == "class folders without an image: b")
        }
    }

    @Test("An answer is right when it is one of several labels, and acc5 counts any of them")
    func several() {
        let metrics = Classification.metrics(
            top: [[2, 0, 1, 3, 4], [1, 0, 2, 3, 4]], targets: [[0, 2], [4, 5]], classes: 6)
        #expect(metrics.map(\.name) == ["acc1", "acc5"])
        #expect(metrics.map(\.value) == [0.5, 1])
    }

    @Test("A subset of the class names is taken in the order of its indices, and a wrong index is named")
    func subset() throws {
        try Places.withFolder { folder in
            let task = try task(folder, "classnames: [a, b, c, d]", "class_indices: [\"3\", \"1\"]")
            #expect(task.protocolParts.classNames == ["d", "b"])
            let failure = #expect(throws: Failure.self) {
                try self.task(folder, "classnames: [a, b]", "class_indices: [\"2\"]")
            }
            #expect(failure?.problem == "class_indices: 2 is no index of the 2 class names")
        }
    }

    @Test("An image resized as it was opened differs from one converted first where alpha is soft, and only there")
    func asOpened() throws {
        let folder = Places.project + "/Tests/Goldens/preprocess/images/"
        for (name, isSame) in [("rgb.png", true), ("colour.jpg", true), ("alpha.png", false), ("palette.png", false)] {
            let data = try readFile(folder + name)
            let images = try ImageConversion.allCases.map {
                try $0.open(data).resized(width: 17, height: 13, .bicubic).rgb
            }
            #expect((images[0] == images[1]) == isSame, "\(name)")
        }
    }

    @Test("Two runs on the same images are compared image by image, other images refused")
    func compare() throws {
        try Places.withFolder { folder in
            func write(_ name: String, _ hits: [Int], key: String = "k") throws -> String {
                let path = "\(folder)/\(name)"
                try AtomicFile.write(
                    hits.enumerated().map {
                        "{\"key\": \"\(key)\($0)\", \"classes\": [], \"hits\": {\"acc1\": \($1)}}\n"
                    }
                    .joined(), to: path)
                return path
            }
            let base = try write("a", [1, 0, 0, 1, 0, 0, 1, 0])
            let other = try write("b", [1, 1, 0, 1, 1, 0, 1, 1])
            let value = try PairedComparison([base], against: [other]).values[0]
            #expect(value.base == 0.375 && value.other == 0.75)
            #expect(value.low >= 0 && value.low < 0.375 && value.high > 0.375)
            let strange = try write("c", [1, 1, 0, 1, 1, 0, 1, 1], key: "z")
            #expect(throws: Failure.self) { try PairedComparison([base], against: [strange]) }
        }
    }
}
