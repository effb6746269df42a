package import Images
package import Support

/// Why a sample is left out of training.
package enum SampleFault: Error, Sendable, CustomStringConvertible {
    /// With the suffixes that the sample has.
    case noImage(String)
    case noCaption(String)
    case emptyCaption, notUTF8
    case noClass
    case image(ImageFault)
    /// Its JSON.
    case unreadable(String)
    /// Not the sample's fault: the shard itself cannot be read.
    case shard(Failure)

    /// What faults are counted by.
    package var reason: String {
        switch self {
        case .noImage: "no image"
        case .noCaption: "no caption"
        case .emptyCaption: "empty caption"
        case .notUTF8: "caption not UTF-8"
        case .noClass: "no class"
        case .image(let fault): fault.reason.rawValue
        case .unreadable: "unreadable JSON"
        case .shard: "unreadable shard"
        }
    }

    package var description: String {
        switch self {
        case .noImage(let suffixes), .noCaption(let suffixes): "\(reason) (the sample has \(suffixes))"
        case .emptyCaption, .notUTF8, .noClass: reason
        case .image(let fault): fault.description
        case .unreadable(let why): "\(reason) (\(why))"
        case .shard(let failure): failure.description
        }
    }

    /// What to know where samples lack members.
    private static let grouping =
        "A sample's key is its name up to the first dot of the base name, and its members stand together in the tar "
        + "(tar --sort=name puts them so)"

    /// What to do about faults of these reasons, where they may come from how members are named or ordered.
    package static func remedy(_ reasons: some Sequence<String>) -> String {
        reasons.contains { $0 == "no image" || $0 == "no caption" } ? grouping : ""
    }
}
