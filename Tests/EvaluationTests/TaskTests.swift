import Evaluation
import Foundation
import Images
import Scenes
import Shards
import Support
import TestKit
import Testing
import Tokenization

@Suite struct TaskTests {
    @Test("A COCO captions file and a folder of images are read in the file's order")
    func coco() throws {
        try Places.withFolder { folder in
            let json: JSON = [
                "images": [["id": 7, "file_name": "b.jpg"], ["id": 3, "file_name": "a.jpg"]],
                "annotations": [
                    ["image_id": 3, "caption": "third"], ["image_id": 7, "caption": "first"],
                    ["image_id": 7, "caption": "second"],
                ],
            ]
            try AtomicFile.write(json.text(), to: folder + "/captions.json")
            let task = try TaskFile.read(Places.project + "/Evals/tasks/coco5k.yaml")
            let set = try EvaluationSet(folder + "/captions.json", images: folder, task.request)
            #expect(set.items.map(\.key) == ["b", "a"])
            #expect(set.items.map(\.captions) == [["first", "second"], ["third"]])
            let failure = #expect(throws: Failure.self) { try set.items[0].image() }
            #expect(failure?.description == "\(folder)/b.jpg: no such file.")
        }
    }

    @Test("Every task that is shipped can be read")
    func tasks() throws {
        let folder = Places.project + "/Evals/tasks"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
        #expect(names.count >= 24)
        for name in names {
            let task = try TaskFile.read("\(folder)/\(name)")
            #expect(task.name + ".yaml" == name)
            #expect(
                task is ZeroShotRetrieval
                    || task.protocolParts.classNames.count > 1 && !task.protocolParts.templates.isEmpty, "\(name)")
        }
    }

    @Test("A Karpathy split is read by its test images")
    func karpathy() throws {
        try Places.withFolder { folder in
            let text = """
                {"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "no"}]},
                  {"filename": "b.jpg", "filepath": "val", "split": "test", "sentences": [{"raw": "one"}, {"raw": "two"}]}]}
                """
            try AtomicFile.write(text, to: folder + "/split.json")
            let images = try COCOCaptions(folder + "/split.json", split: "test").images
            #expect(images.map(\.file) == ["val/b.jpg"])
            #expect(images[0].captions == ["one", "two"])
        }
    }
}
