import Encoders
public import Foundation
import Images
import Models
import Support
import TensorCPU

/// A dual encoder read from a folder, ready to encode images and texts on the CPU.
public struct Encoder: Sendable {
    private let model: Model

    /// Reads a model folder as open_clip's `local-dir:` has it, or a Hugging Face CLIPModel or SiglipModel folder.
    ///
    /// - Parameters:
    ///   - folder: of the model
    ///   - tokenizer: a tokenizer folder to use instead of the model's own
    ///   - threads: nil for one a core; results do not depend on it
    /// - Throws: `DiptychError` naming what is missing or does not fit
    public init(_ folder: String, tokenizer: String? = nil, threads: Int? = nil) throws {
        guard CPUDevice.isUsable else {
            throw DiptychError("libopenblas.so.0", "cannot be opened", remedy: "apt-get install libopenblas0")
        }
        model = try told { try Model(folder, tokenizer: tokenizer, on: CPUDevice(threads: threads)) }
    }

    /// E, the width of the space that images and texts meet in.
    public var width: Int { model.encoder.blueprint.embedWidth }

    /// What a person should know of how the folder was read.
    public var notes: [String] { model.notes }

    /// Unit rows [N,E], in the order of the texts.
    ///
    /// - Throws: `DiptychError` when the model's tokenizer is not known, or a feature is not finite
    public func encode(texts: [String]) throws -> Features {
        Features(try told { try model.encode(texts: texts) }, width: width)
    }

    /// Unit rows [N,E], in the order of the files: JPEG, PNG, WebP, GIF, BMP, TIFF or Netpbm.
    ///
    /// - Throws: `DiptychError` naming the first file that is missing or no image
    public func encode(imageFiles: [String]) throws -> Features {
        let rows = try told {
            try model.encode(images: imageFiles.count) { index in
                let path = imageFiles[index]
                let data = try readFile(path)
                do throws(ImageFault) { return try PixelImage(decoding: data) } catch {
                    throw Failure(.badData, path, "\(error)")
                }
            }
        }
        return Features(rows, width: width)
    }

    /// Unit rows [N,E], in the order of the images, each the bytes of a file.
    ///
    /// - Throws: `DiptychError` naming the first that is no image
    public func encode(images: [Data]) throws -> Features {
        let rows = try told {
            try model.encode(images: images.count) { index in
                do throws(ImageFault) { return try PixelImage(decoding: images[index]) } catch {
                    throw Failure(.badData, "image \(index)", "\(error)")
                }
            }
        }
        return Features(rows, width: width)
    }
}

/// Rows of length 1.
public struct Features: Sendable, Equatable {
    /// Row-major [count, width].
    public let values: [Float]
    /// Values of a row.
    public let width: Int

    init(_ values: [Float], width: Int) { (self.values, self.width) = (values, width) }

    /// Rows.
    public var count: Int { values.count / width }

    /// A row, of `width` values.
    public subscript(row: Int) -> ArraySlice<Float> { values[row * width..<(row + 1) * width] }

    /// The cosine of a row with a row of others.
    public func cosine(_ row: Int, _ others: Features, _ other: Int) -> Float {
        zip(self[row], others[other]).reduce(0) { $0 + $1.0 * $1.1 }
    }
}

/// What went wrong, with what, and what to do.
public struct DiptychError: Error, CustomStringConvertible, Sendable {
    /// A file, a line, a key or a sample.
    public let subject: String
    /// What is wrong.
    public let problem: String
    /// Empty where there is nothing to say.
    public let remedy: String

    init(_ subject: String, _ problem: String, remedy: String = "") {
        (self.subject, self.problem, self.remedy) = (subject, problem, remedy)
    }

    /// Subject, problem and remedy as a sentence.
    public var description: String { "\(subject): \(problem)" + (remedy.isEmpty ? "" : ". \(remedy)") }
}

/// With our own failures as the errors that an app knows.
private func told<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let failure as Failure {
        throw DiptychError(failure.subject, failure.problem, remedy: failure.remedy)
    }
}
