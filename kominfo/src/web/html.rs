//! What every page is made of: its frame, links, and text that is fit for it.

use super::catalogue::{self as text, Language, Text};

/// A page. Texts are HTML: whoever fills them in escapes what comes from elsewhere.
pub(super) struct Frame<'a> {
    /// Where the page lies, without its language.
    pub path: &'a str,
    /// In the window's title and as the page's heading.
    pub title: &'a str,
    /// Below the heading.
    pub subtitle: &'a str,
    /// Style sheets and scripts of this page.
    pub head: &'a str,
    /// Pictures want a wide page, text does not.
    pub is_wide: bool,
    /// Before the way to the other language.
    pub nav: &'a str,
    /// Further attributes of `<main>`, with a space before.
    pub main_attributes: &'a str,
    /// What the page is about.
    pub body: &'a str,
    /// At the end.
    pub footer: Text,
}

impl Frame<'_> {
    /// The whole page.
    pub(super) fn around(&self, language: Language) -> String {
        let t = |text: Text| text.in_(language);
        let Self {
            title,
            subtitle,
            head,
            nav,
            main_attributes,
            body,
            ..
        } = self;
        format!(
            r##"<!doctype html>
<html lang="{code}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
{head}</head>
<body{class}>
<a class="skip" href="#main">{skip}</a>
<header>
<div><h1>{title}</h1><p>{subtitle}</p></div>
<nav>{nav}<a href="{other}">{language_other}</a></nav>
</header>
<main id="main"{main_attributes}>
{body}</main>
<footer>{footer}</footer>
</body>
</html>
"##,
            code = language.code(),
            class = if self.is_wide { r#" class="wide""# } else { "" },
            skip = t(text::SKIP),
            other = address(self.path, language.other()),
            language_other = t(text::LANGUAGE_OTHER),
            footer = t(self.footer),
        )
    }
}

/// Where a page lies in a language. Indonesian needs no word for it.
pub(super) fn address(path: &str, language: Language) -> String {
    match language {
        Language::Indonesian => path.to_owned(),
        Language::English => format!("{path}?lang=en"),
    }
}

/// A link to another page in the same language.
pub(super) fn link(path: &str, words: Text, language: Language) -> String {
    format!(r#"<a href="{}">{}</a>"#, address(path, language), words.in_(language))
}

/// Text of foreign origin, fit for HTML and for an attribute in double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_the_language() {
        let of = |language| link("/live", text::LIVE_TITLE, language);
        assert_eq!(of(Language::Indonesian), r#"<a href="/live">Kamera langsung</a>"#);
        assert_eq!(of(Language::English), r#"<a href="/live?lang=en">Live cameras</a>"#);
    }
}
