/// The frame of every page: self-contained, without scripts, light or dark as the reader's system is.
enum HTML {
    /// By scalars: to a browser a quote is a quote, whatever combining mark follows it.
    static func escape(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// A picture whose bytes stand in the page; nothing for what is no base64.
    static func picture(_ base64: String, text: String = "") -> String {
        let isBase64 = base64.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
                true
            default: false
            }
        }
        return "<img alt=\"\(escape(text))\" src=\"data:image/jpeg;base64,\(isBase64 ? base64 : "")\">"
    }

    static func page(title: String, body: String) -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
        <title>\(escape(title))</title><style>\(style)</style></head>
        <body><main>\(body)</main></body></html>

        """
    }

    private static let style = """
        :root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#e3e7ee;--ground:#f6f7fa;--card:#fff;--a:#3457d5;--b:#d9480f;--right:#12805c;--wrong:#b42318}
        @media(prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#98a2b3;--line:#2b3340;--ground:#12161d;--card:#1a202a;--a:#7f9bff;--b:#ff9a5c;--right:#4cc38a;--wrong:#ff7b72}}
        *{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
        main{max-width:1080px;margin:0 auto;padding:40px 24px 80px}h1{font-size:28px;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:18px;margin:44px 0 12px}
        .sub{color:var(--soft);margin:0 0 28px}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
        .tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
        .tile b{display:block;font-size:22px;font-weight:650;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}
        .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:12px}.card h3{margin:0 0 6px;font-size:14px;font-weight:600}
        svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}
        table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}th{font-weight:600;text-align:left;color:var(--soft);font-size:13px}
        th,td{padding:7px 8px;border-bottom:1px solid var(--line)}td.n,th.n{text-align:right}.bar{position:relative;height:8px;background:var(--line);border-radius:4px;min-width:160px}
        .bar i{position:absolute;top:0;bottom:0;left:0;background:var(--a);border-radius:4px}.bar u{position:absolute;top:-3px;bottom:-3px;border-left:2px solid var(--ink);border-right:2px solid var(--ink);opacity:.55}
        .ask{display:grid;grid-template-columns:minmax(180px,1fr) auto;gap:16px;align-items:center;padding:12px 0;border-bottom:1px solid var(--line)}.ask:last-child{border:0}
        .ask q{font-style:italic}.answers{display:flex;gap:8px}.answers div{text-align:center;font-size:12px;color:var(--soft);width:88px}
        .answers img,.shown img{width:84px;height:84px;object-fit:cover;border-radius:8px;border:3px solid transparent;display:block;margin:0 auto 2px}
        .answers .right img{border-color:var(--right)}.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(185px,1fr));gap:12px}
        .shown{display:flex;gap:10px;align-items:center}.shown ol{list-style:none;margin:0;padding:0;font-size:13px;color:var(--soft)}.right{color:var(--right)!important;font-weight:600}
        pre{overflow:auto;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px;font:13px/1.5 ui-monospace,"DejaVu Sans Mono",monospace}
        .sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;margin-top:20px}.sheet figure{margin:0}.sheet img{width:100%;border-radius:8px}.sheet figcaption{font-size:12px;color:var(--soft)}
        .scroll{overflow-x:auto}@media(max-width:640px){.charts{grid-template-columns:1fr}.ask{grid-template-columns:1fr}}
        """
}
