/// What a txt member is.
package enum CaptionForm: String, Sendable, CaseIterable {
    /// A caption a line, as `data pack` writes several of one image; LF and CRLF end a line, nothing else.
    case lines
    /// One caption with all its lines, as open_clip takes it.
    case whole
}

/// Which members of a sample are read.
package struct SampleFields: Sendable, Equatable {
    /// Read captions from this field of the sample's JSON instead of its txt.
    package var captionKey: String?
    package var form: CaptionForm
    /// The captions are made from the class: class names and templates with {}.
    package var classes: [String]
    package var templates: [String]

    package init(
        captionKey: String? = nil, form: CaptionForm = .lines, classes: [String] = [], templates: [String] = []
    ) {
        self.captionKey = captionKey
        self.form = form
        self.classes = classes
        self.templates = templates
    }
}
