//! Foreign XML as a small tree.
//!
//! Cameras write SOAP by hand: prefixes that were never declared, namespaces of an older draft, elements in another
//! order. So a prefix is dropped and its namespace is not looked up; an element is known by its local name and its
//! place below its parent. ONVIF uses no local name twice in one place.
//!
//! Limits: a document is at most as long as the caller says, nests at most [`DEPTH_MAX`] deep and has at most
//! [`ELEMENTS_MAX`] elements. A document type definition is refused, so no entity can be defined and none expands:
//! only the five of XML itself and character references are resolved. Bytes that are not UTF-8 become U+FFFD. What
//! follows the root element is not read: some cameras send the rest of their buffer.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Deepest nesting of elements. A document that nests deeper is refused. ONVIF's own replies stay below 12.
pub const DEPTH_MAX: usize = 32;
/// Most elements in a document. A document with more is refused. A camera with 32 profiles sends about 3,000.
pub const ELEMENTS_MAX: usize = 20_000;
/// Most attributes of an element. Those after it are left out.
const ATTRIBUTES_MAX: usize = 16;
/// Longest text that is kept for people to read, characters. The rest is cut off.
const LABEL_CHARS_MAX: usize = 96;

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than the caller allows.
    #[error("the document has {bytes} bytes, more than the {bytes_max} that are read")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// Nests deeper than [`DEPTH_MAX`].
    #[error("the document nests deeper than {DEPTH_MAX} elements")]
    TooDeep,
    /// Has more than [`ELEMENTS_MAX`] elements.
    #[error("the document has more than {ELEMENTS_MAX} elements")]
    TooManyElements,
    /// Defines its own entities, or may.
    #[error("the document has a document type definition")]
    DocumentType,
    /// Is no well-formed XML, or ends early.
    #[error("not well-formed XML at byte {position}: {problem}")]
    Malformed {
        /// Where the reader stood.
        position: u64,
        /// What it found.
        problem: String,
    },
}

/// One element with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads the root element of `bytes`, which may be up to `bytes_max` long.
    pub fn parse(bytes: &[u8], bytes_max: usize) -> Result<Self, XmlError> {
        if bytes.len() > bytes_max {
            return Err(XmlError::TooLong {
                bytes: bytes.len(),
                bytes_max,
            });
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches(|c: char| c == '\u{feff}' || c == '\0' || c.is_whitespace());
        let mut reader = Reader::from_str(text);
        // Many cameras put stream addresses into the text without writing `&` as an entity.
        reader.config_mut().allow_dangling_amp = true;
        let mut tree = Tree::default();
        loop {
            let event = reader.read_event();
            let position = reader.buffer_position();
            let event = event.map_err(|error| malformed(position, error))?;
            if let Some(root) = tree.take(event, position)? {
                return Ok(root);
            }
        }
    }

    /// The name without its prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text directly in this element, without white space around it.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The attribute of this local name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim())
    }

    /// The elements directly below this one.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of this name.
    pub fn children_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element of this name, at any depth, this one included.
    pub fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// All elements of this name, at any depth, in the document's order.
    pub fn find_all<'a>(&'a self, name: &str) -> Vec<&'a Element> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(element) = open.pop() {
            if element.name == name {
                found.push(element);
            }
            open.extend(element.children.iter().rev());
        }
        found
    }

    /// The text of the child of this name, if it has any.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(Element::text).filter(|text| !text.is_empty())
    }

    /// The number in the child of this name.
    pub fn child_number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.child_text(name)?.parse().ok()
    }
}

/// Makes foreign `text` fit to be shown: one line, at most 96 characters, no control characters and none that turn
/// the direction of writing.
pub(super) fn label(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let shown = line.chars().filter(|c| !turns_direction(*c));
    shown.take(LABEL_CHARS_MAX).collect()
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn malformed(position: u64, problem: impl std::fmt::Display) -> XmlError {
    XmlError::Malformed {
        position,
        problem: label(&problem.to_string()),
    }
}

/// The elements that are open, outermost first.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    elements: usize,
}

impl Tree {
    /// Takes the next event; gives the root element once it is complete.
    fn take(&mut self, event: Event<'_>, position: u64) -> Result<Option<Element>, XmlError> {
        match event {
            Event::Start(start) => self.start(&start)?,
            Event::Empty(start) => {
                self.start(&start)?;
                return Ok(self.end());
            }
            Event::End(_) => return Ok(self.end()),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text =
                    resolve(&reference).ok_or_else(|| malformed(position, "an entity that XML does not have"))?;
                self.text(text.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof => return Err(malformed(position, "the document ends before its root element does")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        Ok(None)
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        if self.open.len() == DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        if self.elements == ELEMENTS_MAX {
            return Err(XmlError::TooManyElements);
        }
        self.elements += 1;
        // An attribute that is wrong, such as one given twice, says nothing that is needed.
        let attributes = start
            .attributes()
            .flatten()
            .take(ATTRIBUTES_MAX)
            .filter_map(|attribute| {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
                Some((attribute.key.local_name().as_ref().to_owned(), value.into_owned()))
            });
        self.open.push(Element {
            name: start.local_name().as_ref().to_owned(),
            attributes: attributes.collect(),
            ..Element::default()
        });
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn end(&mut self) -> Option<Element> {
        let element = self.open.pop()?;
        match self.open.last_mut() {
            None => return Some(element),
            Some(parent) => parent.children.push(element),
        }
        None
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match &*reference.xml10_content() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, XmlError> {
        Element::parse(text.as_bytes(), 1 << 20)
    }

    #[test]
    fn elements_are_known_by_their_local_names_whatever_their_prefixes() {
        let root =
            parse("<?xml version='1.0'?><q:A xmlns:q='x'><Z9:B t:token='one'> f\u{e9} &amp; &#x41; </Z9:B><B/></q:A>");
        let root = root.unwrap();
        assert_eq!(root.name(), "A");
        assert_eq!(root.child_text("B"), Some("f\u{e9} & A"));
        assert_eq!(root.child("B").unwrap().attribute("token"), Some("one"));
        assert_eq!(root.children_of("B").count(), 2);
        assert_eq!(root.find_all("B").len(), 2);
    }

    #[test]
    fn what_stands_before_and_behind_the_root_element_is_skipped() {
        let root = parse("\u{feff}\r\n\0<!-- camera --><A><B>1</B></A>\0\0<garbage").unwrap();
        assert_eq!(root.child_number::<u32>("B"), Some(1));
    }

    #[test]
    fn an_ampersand_that_begins_no_entity_is_text() {
        let root = parse("<A><B>rtsp://10.0.0.9/live?channel=1&subtype=0</B></A>").unwrap();
        assert_eq!(root.child_text("B"), Some("rtsp://10.0.0.9/live?channel=1&subtype=0"));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_spoil_the_rest() {
        let root = Element::parse(b"<A><B>\xc4\xcf gate</B></A>", 100).unwrap();
        assert_eq!(root.child_text("B"), Some("\u{fffd}\u{fffd} gate"));
    }

    #[test]
    fn a_document_type_definition_is_refused_and_no_entity_expands() {
        let bomb = "<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>";
        assert_eq!(parse(bomb), Err(XmlError::DocumentType));
        assert!(matches!(parse("<a>&y;</a>"), Err(XmlError::Malformed { .. })));
    }

    #[test]
    fn depth_elements_and_length_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&nested(DEPTH_MAX + 1)), Err(XmlError::TooDeep));
        let wide = |elements: usize| format!("<a>{}</a>", "<b/>".repeat(elements));
        assert!(parse(&wide(ELEMENTS_MAX - 1)).is_ok());
        assert_eq!(parse(&wide(ELEMENTS_MAX)), Err(XmlError::TooManyElements));
        let too_long = XmlError::TooLong { bytes: 4, bytes_max: 3 };
        assert_eq!(Element::parse(b"<a/>", 3), Err(too_long));
    }

    #[test]
    fn a_document_that_ends_early_or_closes_wrongly_is_refused() {
        for text in [
            "",
            "   ",
            "no xml",
            "<a>",
            "<a><b></a>",
            "<a",
            "</a>",
            "<a>&#xD800;</a>",
        ] {
            assert!(matches!(parse(text), Err(XmlError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn a_label_is_one_short_line_without_control_characters() {
        assert_eq!(label("  Gate \u{1b}[31m\r\n two\u{202e} "), "Gate [31m two");
        assert_eq!(label(&"x".repeat(500)).len(), 96);
    }
}
