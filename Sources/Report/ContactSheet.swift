/// A page of pictures with captions.
package enum ContactSheet {
    package struct Card: Sendable {
        /// Base64 JPEG
        package let picture: String
        package let title: String
        package let text: String

        package init(picture: String, title: String, text: String) {
            self.picture = picture
            self.title = title
            self.text = text
        }
    }

    package static func html(title: String, _ cards: [Card]) -> String {
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
