//! Which language a page is in, and its texts: one file per language in `web/shop/texts` and `web/admin/texts`, for the
//! templates and for the scripts.

use std::{collections::HashMap, sync::LazyLock};

use axum::http::{HeaderMap, header};

/// What remembers a language that was chosen.
const COOKIE: &str = "language";

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

static ENGLISH: LazyLock<Texts> = LazyLock::new(|| Texts::read(Language::English));
static GERMAN: LazyLock<Texts> = LazyLock::new(|| Texts::read(Language::German));

/// The texts of a language, by their keys.
#[derive(Debug)]
pub(super) struct Texts(HashMap<String, String>);

impl Texts {
    /// A file that can't be read has no texts; a test reads both.
    fn read(language: Language) -> Self {
        let mut texts: HashMap<_, _> = serde_json::from_str(language.source()).unwrap_or_default();
        let admin: HashMap<_, _> = serde_json::from_str(language.admin_source()).unwrap_or_default();
        texts.extend(admin);
        Self(texts)
    }

    /// The text with that key; a key that is missing is its own text.
    pub(super) fn at<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }

    /// With `{}` replaced.
    pub(super) fn with(&self, key: &str, value: impl std::fmt::Display) -> String {
        self.at(key).replace("{}", &value.to_string())
    }

    /// For that many: `key.one` or `key.other`.
    pub(super) fn count(&self, key: &str, count: u64) -> String {
        let form = if count == 1 { "one" } else { "other" };
        self.with(&format!("{key}.{form}"), count)
    }
}

impl Language {
    /// All of them, the one that is for everybody else first.
    pub(super) const ALL: [Self; 2] = [Self::English, Self::German];

    /// Its tag (BCP 47).
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// As its speakers call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// The file of the texts of the admin's pages, which have those of the shop too.
    pub(super) fn admin_source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../../web/admin/texts/en.json"),
            Self::German => include_str!("../../../web/admin/texts/de.json"),
        }
    }

    /// The file of its texts.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../../web/shop/texts/en.json"),
            Self::German => include_str!("../../../web/shop/texts/de.json"),
        }
    }

    /// Its texts.
    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    /// The language with that tag, or with the tag that it begins with: `de` for `de-AT`.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The one that was chosen before, or the one that the browser prefers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        cookie(headers, COOKIE)
            .and_then(Self::of_tag)
            .unwrap_or_else(|| Self::preferred(headers))
    }

    /// RFC 9110, 12.5.4: the one with the greatest weight, of several the first.
    fn preferred(headers: &HeaderMap) -> Self {
        let mut best = (Self::English, 0.0);
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        for range in lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
        {
            let (tag, parameter) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameter.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse().unwrap_or(0.0),
                None => 1.0,
            };
            if let Some(language) = Self::of_tag(tag)
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The cookie that remembers it for a year.
    pub(super) fn remembered(self) -> String {
        format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax", self.tag())
    }
}

/// The value of a cookie; of several with that name the first, which is the one with the longest path.
pub(in crate::http) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    fn chosen(accepted: &'static str, cookies: &'static str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accepted));
        headers.insert(header::COOKIE, HeaderValue::from_static(cookies));
        Language::of(&headers).tag()
    }

    #[test]
    fn the_language_is_the_chosen_one_or_the_preferred_one() {
        assert_eq!(chosen("", ""), "en");
        assert_eq!(chosen("de", ""), "de");
        assert_eq!(chosen("fr, de-AT;q=0.5, en;q=0.4", ""), "de");
        assert_eq!(chosen("de;q=0.5, en", ""), "en");
        assert_eq!(chosen("de;q=0, en;q=0.1", ""), "en");
        assert_eq!(chosen("en", "a=b; language=de"), "de");
        assert_eq!(chosen("de", "language=xx"), "de");
        assert_eq!(chosen("*, ;q=x, de;q=y", "="), "en");
    }

    #[test]
    fn every_text_is_there_in_every_language_with_the_same_gaps() {
        let gaps = |text: &String| text.matches('{').count();
        let (english, german) = (&ENGLISH.0, &GERMAN.0);
        assert!(english.len() > 50);
        for (key, text) in english {
            let other = german.get(key);
            assert!(other.is_some_and(|other| gaps(other) == gaps(text)), "{key}");
        }
        assert_eq!(english.len(), german.len());
    }

    /// Whatever templates and scripts ask for by its key is there, and nothing else.
    #[test]
    fn every_text_that_is_asked_for_is_there() {
        let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = String::new();
        for entry in ["web/shop", "web/admin", "src/http/pages"]
            .iter()
            .flat_map(|folder| std::fs::read_dir(own.join(folder)).unwrap())
        {
            let path = entry.unwrap().path();
            if path.is_file() {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
        for marker in ["t.at(\"", "t('", "t.count(\"", "t.with(\"", "count('"] {
            for rest in sources.split(marker).skip(1) {
                let key = rest.split(['"', '\'']).next().unwrap();
                // Of plurals, and of what is put together, the beginning is asked for.
                let beginning = format!("{}.", key.trim_end_matches('.'));
                let known = ENGLISH
                    .0
                    .keys()
                    .any(|known| known == key || known.starts_with(&beginning));
                // Others end in these letters too: `import('./main.js')`.
                let is_key = key.contains('.') && key.starts_with(|first: char| first.is_ascii_lowercase());
                assert!(known || !is_key, "{key}");
            }
        }
    }
}
