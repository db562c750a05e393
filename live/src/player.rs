//! What shows a live view in a browser: static files, to be served under one path.
//!
//! A page includes `player.css`, imports `mountPlayer` from `player.js` and `TEXTS` from `texts.js`; the rest is
//! described at the top of `player.js`, and how it stays at the live edge at the top of `live-media.js`. There is no
//! build step and nothing comes from elsewhere. A Content-Security-Policy must allow `blob:` as a source of media.

/// A static file of the player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Name of the file; the files find each other by it, in one folder.
    pub name: &'static str,
    /// Media type for the `Content-Type` header.
    pub content_type: &'static str,
    /// What is in it.
    pub content: &'static str,
}

/// The module with `mountPlayer`.
pub const PLAYER_JS: &str = include_str!("../assets/player.js");

/// The module that plays chunks near the live edge; imported by [`PLAYER_JS`].
pub const LIVE_MEDIA_JS: &str = include_str!("../assets/live-media.js");

/// The module with the texts in Indonesian and English.
pub const TEXTS_JS: &str = include_str!("../assets/texts.js");

/// The style sheet.
pub const PLAYER_CSS: &str = include_str!("../assets/player.css");

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// All files of the player.
pub const ASSETS: [Asset; 4] = [
    Asset {
        name: "player.js",
        content_type: JAVASCRIPT,
        content: PLAYER_JS,
    },
    Asset {
        name: "live-media.js",
        content_type: JAVASCRIPT,
        content: LIVE_MEDIA_JS,
    },
    Asset {
        name: "texts.js",
        content_type: JAVASCRIPT,
        content: TEXTS_JS,
    },
    Asset {
        name: "player.css",
        content_type: "text/css; charset=utf-8",
        content: PLAYER_CSS,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The keys of one language, in order: words before a colon at the start of a line.
    fn keys(language: &str) -> BTreeSet<&str> {
        let start = TEXTS_JS.find(&format!("\n  {language}: {{")).unwrap();
        let rest = &TEXTS_JS[start + 1..];
        let block = &rest[..rest.find("\n  },").unwrap()];
        block
            .lines()
            .skip(1)
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(key, _)| key)
            .collect()
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        assert_eq!(keys("id"), keys("en"));
        assert!(keys("id").len() > 20);
    }

    #[test]
    fn every_state_that_the_player_shows_has_a_text() {
        let shown = ["show(\"", "end(\""]
            .into_iter()
            .flat_map(|call| PLAYER_JS.split(call).skip(1));
        let states: BTreeSet<_> = shown.filter_map(|rest| rest.split('"').next()).collect();
        assert!(states.len() >= 8, "{states:?}");
        assert!(states.is_subset(&keys("id")), "{states:?}");
    }

    #[test]
    fn every_reason_of_a_box_has_a_text_in_both_languages() {
        for word in crate::link::Reason::ALL.map(crate::link::Reason::as_str) {
            let key = format!("\n      {word}: \"");
            let tables = TEXTS_JS.split("boxReasons: {").skip(1);
            let told = tables.filter(|table| table.split('}').next().is_some_and(|table| table.contains(&key)));
            assert_eq!(told.count(), 2, "{word}");
        }
        assert_eq!(
            TEXTS_JS.matches(&format!("\n      {}: \"", crate::link::HELD)).count(),
            2
        );
    }

    #[test]
    fn the_files_import_only_each_other() {
        for asset in ASSETS {
            for import in asset.content.lines().filter(|line| line.starts_with("import ")) {
                assert!(
                    ASSETS
                        .iter()
                        .any(|other| import.contains(&format!("\"./{}\"", other.name))),
                    "{import}"
                );
            }
            assert!(!asset.content.contains("://"), "{} names another host", asset.name);
        }
    }

    #[test]
    fn the_player_reads_the_messages_that_are_sent() {
        for kind in ["stream", "skipped", "state", "busy", "ended"] {
            assert!(PLAYER_JS.contains(&format!("message.type === \"{kind}\"")), "{kind}");
        }
    }
}
