//! A request for a page, and the answer: what all pages have in common.

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use url::form_urlencoded;

use super::{
    assets::ASSETS,
    language::{Language, Texts},
};
use crate::{
    http::conditional::{CATALOGUE, digest},
    problem::Problem,
};

/// The parameter that chooses a language.
const LANGUAGE: &str = "lang";
/// A page allows nothing that is written into it, however it came there: what is run or shown as a style comes from the
/// gateway's own files. Scripts can't make markup of text either (Trusted Types).
pub(in crate::http) const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Who asks for a page, as far as it matters.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) language: Language,
    /// Whether it was chosen by this very request, and is to be remembered.
    chooses: bool,
    path: String,
    /// The parameters, without that of the language. What is not known is nobody's fault: others add theirs to links.
    pub(super) parameters: Vec<(String, String)>,
    /// As the browser wrote it.
    host: String,
}

impl Visit {
    /// The first parameter of that name.
    pub(super) fn parameter(&self, name: &str) -> &str {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.trim())
    }

    pub(super) fn texts(&self) -> &'static Texts {
        self.language.texts()
    }

    /// Whether an image is of this origin: no page loads any other.
    pub(super) fn may_show(&self, image_url: &str) -> bool {
        url::Url::parse(image_url).is_ok_and(|url| {
            let authority = url.authority();
            !authority.is_empty() && authority.eq_ignore_ascii_case(&self.host)
        })
    }

    /// What the layout of a page with that title is made of.
    pub(super) fn page(&self, title: String) -> Page {
        let languages = Language::ALL.map(|language| Choice {
            tag: language.tag(),
            name: language.name(),
            href: self.href_in(language),
            current: language == self.language,
        });
        Page {
            t: self.texts(),
            language: self.language.tag(),
            title,
            description: String::new(),
            searched: String::new(),
            languages,
            texts: ASSETS.texts(self.language),
        }
    }

    fn href_in(&self, language: Language) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.parameters)
            .append_pair(LANGUAGE, language.tag())
            .finish();
        format!("{}?{query}", self.path)
    }

    /// The answer with that page.
    pub(super) fn answer(&self, status: StatusCode, template: &impl Template) -> Result<Response, Problem> {
        let html = template.render().map_err(|error| {
            tracing::error!(%error, "a page can't be written");
            Problem::internal()
        })?;
        let tag = format!("\"{}\"", digest(html.as_bytes()));
        let mut response = (status, html).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::VARY, "accept-encoding, accept-language, cookie"),
            (header::CONTENT_LANGUAGE, self.language.tag()),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "permissions-policy",
                "camera=(), geolocation=(), microphone=(), payment=()",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if status == StatusCode::OK {
            headers.insert(header::CACHE_CONTROL, CATALOGUE);
            headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
        }
        if self.chooses {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            let cookie = HeaderValue::try_from(self.language.remembered()).ok();
            headers.extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        }
        Ok(response)
    }
}

impl From<&Parts> for Visit {
    fn from(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let (chosen, parameters): (Vec<_>, Vec<_>) = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .partition(|(name, _)| name == LANGUAGE);
        let chosen = chosen.first().and_then(|(_, tag)| Language::of_tag(tag));
        let host = parts.headers.get(header::HOST);
        Self {
            language: chosen.unwrap_or_else(|| Language::of(&parts.headers)),
            chooses: chosen.is_some(),
            path: parts.uri.path().to_owned(),
            parameters,
            host: host
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from(&*parts))
    }
}

/// What the layout shows.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) t: &'static Texts,
    pub(super) language: &'static str,
    pub(super) title: String,
    /// For search engines; empty for none.
    pub(super) description: String,
    /// What was searched for.
    pub(super) searched: String,
    pub(super) languages: [Choice; 2],
    /// Where the scripts find their texts.
    pub(super) texts: &'static str,
}

impl Page {
    /// Where that asset is. Of a page, so that a template can ask.
    #[allow(clippy::unused_self)]
    pub(super) fn asset(&self, name: &str) -> &'static str {
        ASSETS.path(name)
    }
}

/// A language to choose.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) tag: &'static str,
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) current: bool,
}
