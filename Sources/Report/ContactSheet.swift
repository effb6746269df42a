/// A page of pictures with captions.
public enum ContactSheet {
    public struct Card: Sendable {
        /// Base64 JPEG
        public let picture: String
        public let title: String
        public let text: String

        public init(picture: String, title: String, text: String) {
            self.picture = picture
            self.title = title
            self.text = text
        }
    }

    public static func html(title: String, _ cards: [Card]) -> String {
        let items = cards.map { card in
            """
            <figure>\(HTML.picture(card.picture, text: card.text))
            <figcaption><b>\(HTML.escape(card.title))</b><br>\(HTML.escape(card.text))</figcaption></figure>
            """
        }
        return HTML.page(
            title: title, body: "<h1>\(HTML.escape(title))</h1><div class=\"sheet\">\(items.joined())</div>")
    }
}
