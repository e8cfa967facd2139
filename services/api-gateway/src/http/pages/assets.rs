//! What the pages load beside themselves: style, scripts, texts and the icon. Each has the digest of its content in its
//! name, so that it may be kept for ever and is never out of date, and is compressed once, at the best that there is.

use std::{collections::HashMap, io::Write as _, sync::LazyLock};

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};

use super::language::Language;
use crate::{http::conditional::digest, problem::Problem};

/// Where they are.
const FOLDER: &str = "/shop/assets/";
/// Of a digest, in its name.
const DIGITS: usize = 16;
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

macro_rules! sources {
    ($($folder:literal: [$($name:literal),* $(,)?]),* $(,)?) => {
        &[$($((
            concat!($folder, "/", $name),
            include_str!(concat!("../../../web/", $folder, "/", $name)),
        )),*),*]
    };
}

/// By folder, as seen from the pages', and name; scripts and the rest.
const SOURCES: &[(&str, &str)] = sources! {
    "../client": ["shop.mjs", "operations.mjs"],
    "shop": [
        "shop.css",
        "icon.svg",
        "main.js",
        "texts.js",
        "advice.js",
        "elements.js",
        "format.js",
        "session.js",
        "login.js",
        "cart.js",
        "navigation.js",
        "catalogue.js",
        "cart-page.js",
        "checkout.js",
        "order-page.js",
        "orders.js",
        "events.js",
        "account.js",
        "second-factor.js",
        "qr-code.js",
    ],
    "vendor": ["lean-qr.js"],
    "admin": [
        "admin.css",
        "main.js",
        "access.js",
        "audit.js",
        "confirm.js",
        "conflict.js",
        "csv.js",
        "dead-letters.js",
        "export.js",
        "files.js",
        "filters.js",
        "flow.js",
        "graph.js",
        "import.js",
        "import-lines.js",
        "ledger.js",
        "order.js",
        "orders.js",
        "overview.js",
        "people.js",
        "product.js",
        "product-form.js",
        "products.js",
        "stock.js",
        "table.js",
        "user.js",
        "users.js",
    ],
};

/// A text that is served as it is, compressed once.
#[derive(Debug)]
pub(in crate::http) struct Asset {
    media_type: &'static str,
    tag: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Assets {
    /// By the name with the digest.
    served: HashMap<String, Asset>,
    /// The path of each source.
    paths: HashMap<&'static str, String>,
}

/// Made once, when the first page is asked for.
pub(super) static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::make);

impl Assets {
    fn make() -> Self {
        let mut assets = Self::default();
        for (name, source) in SOURCES {
            assets.add_with_imports(name, source);
        }
        for language in Language::ALL {
            let (shop, admin) = (language.source(), language.admin_source());
            assets.add(texts_name(language), &format!("export default {shop}"));
            let both = format!("export default Object.assign({shop}, {admin})");
            assets.add(admin_texts_name(language), &both);
        }
        assets
    }

    /// A script names others by their file; here they have other names, which are part of its own content. Scripts import
    /// each other in no circle.
    fn add_with_imports(&mut self, name: &'static str, source: &str) {
        if self.paths.contains_key(name) {
            return;
        }
        let mut text = source.to_owned();
        for (other, other_source) in SOURCES {
            let reference = format!("'{}'", reference(name, other));
            if *other != name && source.contains(&reference) {
                self.add_with_imports(other, other_source);
                text = text.replace(&reference, &format!("'{}'", self.path(other)));
            }
        }
        self.add(name, &text);
    }

    fn add(&mut self, name: &'static str, text: &str) {
        let mut digest = digest(text.as_bytes());
        digest.truncate(DIGITS);
        let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
        let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
        let media_type = match extension {
            "css" => "text/css; charset=utf-8",
            "js" | "mjs" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        };
        let hashed = format!("{stem}-{digest}.{extension}");
        self.paths.insert(name, format!("{FOLDER}{hashed}"));
        self.served.insert(hashed, Asset::new(media_type, text));
    }

    /// Where a source is served.
    pub(super) fn path(&self, name: &str) -> &str {
        self.paths.get(name).map_or("", String::as_str)
    }

    /// Where the texts of a language are.
    pub(super) fn texts(&self, language: Language) -> &str {
        self.path(texts_name(language))
    }

    /// Where those of the admin's pages are, with those of the shop.
    pub(super) fn admin_texts(&self, language: Language) -> &str {
        self.path(admin_texts_name(language))
    }
}

/// What a script writes to import another: its place from the script's own folder.
fn reference(from: &str, to: &str) -> String {
    match (from.rsplit_once('/'), to.rsplit_once('/')) {
        (Some((here, _)), Some((there, file))) if here == there => format!("./{file}"),
        _ => format!("../{to}"),
    }
}

impl Asset {
    pub(in crate::http) fn new(media_type: &'static str, text: &str) -> Self {
        let tag = format!("\"{}\"", digest(text.as_bytes()));
        Self {
            media_type,
            tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")),
            plain: Bytes::copy_from_slice(text.as_bytes()),
            gzip: gzip(text.as_bytes()),
        }
    }

    /// The answer with it, in the form that the request takes.
    pub(in crate::http) fn answer(&self, headers: &HeaderMap, caching: HeaderValue) -> Response {
        let mut response = (StatusCode::OK, self.plain.clone()).into_response();
        if takes_gzip(headers) && !self.gzip.is_empty() {
            response = (StatusCode::OK, self.gzip.clone()).into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let answered = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.media_type)),
            (header::ETAG, self.tag.clone()),
            (header::CACHE_CONTROL, caching),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ] {
            answered.insert(name, value);
        }
        response
    }
}

fn texts_name(language: Language) -> &'static str {
    match language {
        Language::English => "texts-en.js",
        Language::German => "texts-de.js",
    }
}

fn admin_texts_name(language: Language) -> &'static str {
    match language {
        Language::English => "admin-texts-en.js",
        Language::German => "admin-texts-de.js",
    }
}

/// Nothing can fail in memory; whatever did would leave the plain form.
fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let _in_memory = encoder.write_all(text);
    encoder.finish().unwrap_or_default().into()
}

/// `GET /shop/assets/{name}`.
pub(super) async fn get(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = ASSETS
        .served
        .get(&name)
        .ok_or_else(|| Problem::not_found("there is no such file, or not any more"))?;
    Ok(asset.answer(&headers, FOR_EVER))
}

/// RFC 9110, 12.5.3, as far as one coding needs it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_imports_is_served_under_the_name_that_it_asks_for() {
        for (name, asset) in &ASSETS.served {
            let text = String::from_utf8_lossy(&asset.plain);
            assert!(
                !text.contains("'./") && !text.contains("'../"),
                "{name} imports what is not served"
            );
            for path in text
                .split('\'')
                .filter(|part| part.starts_with(FOLDER) && *part != FOLDER)
            {
                assert!(
                    ASSETS.served.contains_key(&path[FOLDER.len()..]),
                    "{name}: {path}"
                );
            }
        }
    }

    /// Nothing is loaded from elsewhere, and no page has to allow what it does not.
    #[test]
    fn no_asset_names_another_host() {
        for (name, asset) in &ASSETS.served {
            let text = String::from_utf8_lossy(&asset.plain);
            let text = text.replace("http://www.w3.org/", "");
            for not_there in ["http://", "https://", "innerHTML", "eval(", ".style."] {
                assert!(!text.contains(not_there), "{name}: {not_there}");
            }
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |accepted: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            takes_gzip(&headers)
        };
        assert!(takes("gzip"));
        assert!(takes("br, GZIP;q=0.5, zstd"));
        assert!(!takes("gzip;q=0, br"));
        assert!(!takes("identity"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
