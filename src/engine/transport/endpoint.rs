//! Base URLs in every form that people write them, and the URLs of endpoints below them.

use reqwest::Url;

use crate::engine::config::DEFAULT_BASE;
use crate::engine::error::{Error, Result};

/// Paths that end a full endpoint's URL; what stands before is the base.
const ENDPOINTS: &[&str] = &["/chat/completions", "/responses", "/messages"];

/// A base URL, in the form `scheme://host[:port]/path` without a slash at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Base {
    url: Url,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}

impl Base {
    /// Reads a base URL: with or without `/v1`, with or without a slash at the end, or the full URL of an endpoint.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| Error::argument(format!("the base URL {why}"));
        let mut url = Url::parse(text.trim()).map_err(|e| invalid(&format!("cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("must begin with http:// or https://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(invalid("names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("must not hold a user or a password: set a key or a header instead"));
        }
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        let path = match ENDPOINTS.iter().find_map(|end| path.strip_suffix(end)) {
            Some(base) => base.to_owned(),
            None if has_version(&path) => path,
            None => path + "/v1",
        };
        url.set_path(path.trim_end_matches('/'));
        Ok(Self { url })
    }

    /// The URL of `path` below this base; the base's query is kept. `path` may bring a query of its own.
    pub fn join(&self, path: &str) -> Result<Url> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        if path.chars().any(|c| c.is_control() || c == '\\') || path.split('/').any(|s| s == ".." || s == ".") {
            return Err(Error::argument("the path holds what no path may: control characters, backslashes, \".\" or \"..\""));
        }
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", self.url.path().trim_end_matches('/'), path.trim_start_matches('/')));
        match (self.url.query(), query) {
            (Some(own), Some(more)) => url.set_query(Some(&format!("{own}&{more}"))),
            (None, Some(more)) => url.set_query(Some(more)),
            _ => {}
        }
        Ok(url)
    }

    /// Whether this is the gateway's own public address, which is not to be had without a key.
    #[must_use]
    pub fn is_default(&self) -> bool {
        Url::parse(DEFAULT_BASE).is_ok_and(|default| self.url == default)
    }

    /// `scheme://host:port`, for messages: nothing in it is secret.
    #[must_use]
    pub fn place(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// `/v1`, `/v1beta/openai`, `/api/paas/v4` say which version they want; Azure's deployments have theirs in the query.
fn has_version(path: &str) -> bool {
    path.split('/').any(|segment| {
        segment == "deployments" || segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_base_gives_its_endpoint() {
        for (base, endpoint) in [
            ("https://api.apertis.ai/v1", "https://api.apertis.ai/v1/chat/completions"),
            ("https://api.apertis.ai/v1/", "https://api.apertis.ai/v1/chat/completions"),
            ("https://api.apertis.ai", "https://api.apertis.ai/v1/chat/completions"),
            ("https://api.apertis.ai/", "https://api.apertis.ai/v1/chat/completions"),
            (" https://api.apertis.ai/v1//\n", "https://api.apertis.ai/v1/chat/completions"),
            ("https://api.apertis.ai/v1/chat/completions", "https://api.apertis.ai/v1/chat/completions"),
            ("https://api.apertis.ai/v1/messages/", "https://api.apertis.ai/v1/chat/completions"),
            ("http://localhost:8080", "http://localhost:8080/v1/chat/completions"),
            ("http://[::1]:8080", "http://[::1]:8080/v1/chat/completions"),
            ("https://h/proxy", "https://h/proxy/v1/chat/completions"),
            ("https://h/proxy/chat/completions", "https://h/proxy/chat/completions"),
            ("https://h/v1beta/openai", "https://h/v1beta/openai/chat/completions"),
            ("https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions"),
            (
                "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
        ] {
            assert_eq!(Base::parse(base).unwrap().join("chat/completions").unwrap().as_str(), endpoint, "{base}");
        }
        assert!(Base::parse("https://api.apertis.ai").unwrap().is_default());
        assert!(!Base::parse("https://api.apertis.ai:444").unwrap().is_default());
    }

    #[test]
    fn what_is_no_base_is_refused_and_no_password_printed() {
        for bad in ["", "api.apertis.ai", "ftp://h", "http://", "https://u:geheim@h/v1", "file:///etc", "https://h:99999"] {
            let error = Base::parse(bad).unwrap_err();
            assert!(!error.message.contains("geheim"), "{bad}");
        }
    }

    #[test]
    fn a_path_stays_below_its_base() {
        let base = Base::parse("http://h/v1?a=1").unwrap();
        assert_eq!(base.join("/models?x=2").unwrap().as_str(), "http://h/v1/models?a=1&x=2");
        for bad in ["../admin", "a/../../b", "a\r\nb", "a\\b"] {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }
}
