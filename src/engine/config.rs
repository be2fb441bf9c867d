//! What a client is made with: a [`Config`] as the caller set it, and [`Settings`], where the environment and the
//! defaults have been filled in.

use std::time::Duration;

use zeroize::Zeroizing;

use super::error::{Error, Kind, Result};
use super::format::FormatChoice;
use super::transport::cassette;
use super::transport::endpoint::Base;

/// The gateway that is spoken to unless the caller names another.
pub const DEFAULT_BASE: &str = "https://api.apertis.ai/v1";
/// The model of a request that names none.
pub const DEFAULT_MODEL: &str = "gpt-5.2";
/// The temperature of a request that sets none; left out where the model's family rejects one.
pub const DEFAULT_TEMPERATURE: f64 = 0.1;
/// The limit of a request that sets none.
pub const DEFAULT_MAX_TOKENS: i64 = 256;
/// Attempts after the first.
pub const DEFAULT_MAX_RETRIES: u32 = 5;

/// A key; wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keys come out of files and environments with line ends that no header may carry.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(Zeroizing::new(key.trim().to_owned()))
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The four time limits; `None` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_event: Option<Duration>,
    pub idle: Option<Duration>,
    pub total: Option<Duration>,
    /// Whether the caller chose `first_event` itself: only then is the gateway told of it.
    pub first_event_is_the_callers: bool,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(10)),
            first_event: Some(Duration::from_secs(600)),
            idle: Some(Duration::from_secs(300)),
            total: None,
            first_event_is_the_callers: false,
        }
    }
}

/// Which time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutKind {
    Connect,
    FirstEvent,
    Idle,
    Total,
}

impl Timeouts {
    pub fn set(&mut self, kind: TimeoutKind, limit: Option<Duration>) {
        match kind {
            TimeoutKind::Connect => self.connect = limit,
            TimeoutKind::FirstEvent => {
                self.first_event = limit;
                self.first_event_is_the_callers = true;
            }
            TimeoutKind::Idle => self.idle = limit,
            TimeoutKind::Total => self.total = limit,
        }
    }
}

/// Whose certificates are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    #[default]
    System,
    Bundled,
    OnlyAdded,
}

/// Where the proxy comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    #[default]
    Environment,
    None,
    Url(String),
}

/// A configuration as the caller set it; `None` is "not set".
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub api_key: Option<Secret>,
    pub api_base: Option<Base>,
    pub format: Option<FormatChoice>,
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<i64>,
    pub max_retries: Option<u32>,
    pub timeouts: Timeouts,
    pub headers: Vec<(String, String)>,
    pub user_agent: Option<String>,
    pub proxy: ProxyChoice,
    pub trust: Trust,
    pub added_roots: Vec<Vec<u8>>,
    pub max_in_flight: Option<usize>,
    pub requests_per_minute: Option<u32>,
    pub cassette: Option<cassette::Mode>,
}

/// A configuration with everything decided. Made once per client; the environment is read here and nowhere else.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `None`: no key is sent.
    pub api_key: Option<Secret>,
    pub base: Base,
    pub config: Config,
    pub proxies: ProxyVariables,
}

/// The proxy variables as they stood when the client was made.
#[derive(Clone, Debug, Default)]
pub struct ProxyVariables {
    pub http: Option<String>,
    pub https: Option<String>,
    pub no_proxy: Option<String>,
}

impl Settings {
    /// Fills in what `config` leaves open; `env` reads one variable.
    pub fn resolve(config: Config, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| env(name).filter(|v| !v.trim().is_empty());
        let base = match &config.api_base {
            Some(base) => base.clone(),
            None => match set("APERTIS_API_BASE") {
                Some(url) => Base::parse(url.trim()).map_err(|e| Error::argument(format!("APERTIS_API_BASE: {}", e.message)))?,
                None => Base::parse(DEFAULT_BASE)?,
            },
        };
        let api_key = match &config.api_key {
            Some(key) if key.is_empty() && !base.is_default() => None,
            Some(key) if !key.is_empty() => Some(key.clone()),
            Some(_) => return Err(missing_key()),
            None => Some(set("APERTIS_API_KEY").map(|v| Secret::new(&v)).ok_or_else(missing_key)?),
        };
        if let Some(key) = &api_key {
            check_key(key)?;
        }
        let either = |lower: &str, upper: &str| set(lower).or_else(|| set(upper));
        let all = either("all_proxy", "ALL_PROXY");
        // HTTP_PROXY in capitals is what a CGI server makes of a request header, so it is not believed there.
        let in_cgi = set("REQUEST_METHOD").is_some();
        let proxies = match config.proxy {
            ProxyChoice::Environment => ProxyVariables {
                http: set("http_proxy").or_else(|| set("HTTP_PROXY").filter(|_| !in_cgi)).or_else(|| all.clone()),
                https: either("https_proxy", "HTTPS_PROXY").or(all),
                no_proxy: either("no_proxy", "NO_PROXY"),
            },
            _ => ProxyVariables::default(),
        };
        Ok(Self { api_key, base, config, proxies })
    }
}

/// A key has to fit into a header.
pub fn check_key(key: &Secret) -> Result<()> {
    if key.reveal().bytes().all(|b| (0x21..0x7f).contains(&b)) {
        Ok(())
    } else {
        Err(Error::argument("the API key holds characters that no header may carry (blanks, line breaks or non-ASCII)"))
    }
}

fn missing_key() -> Error {
    Error::new(
        Kind::MissingApiKey,
        "no API key: set it with apertis_config_set_api_key or in the environment variable APERTIS_API_KEY",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)], config: Config) -> Result<Settings> {
        let vars: std::collections::HashMap<String, String> =
            vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::resolve(config, |name| vars.get(name).cloned())
    }

    #[test]
    fn the_key_comes_from_the_config_then_the_environment() {
        let settings = with(&[("APERTIS_API_KEY", " sk-env\n")], Config::default()).unwrap();
        assert_eq!(settings.api_key.unwrap().reveal(), "sk-env");
        let config = Config { api_key: Some(Secret::new("sk-own")), ..Config::default() };
        assert_eq!(with(&[("APERTIS_API_KEY", "sk-env")], config).unwrap().api_key.unwrap().reveal(), "sk-own");
        let error = with(&[], Config::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::MissingApiKey);
        assert!(error.message.contains("APERTIS_API_KEY") && error.message.contains("apertis_config_set_api_key"));
    }

    #[test]
    fn an_empty_key_is_for_other_bases_only() {
        let empty = Config { api_key: Some(Secret::new("")), ..Config::default() };
        assert_eq!(with(&[], empty.clone()).unwrap_err().kind(), Kind::MissingApiKey);
        let local = Config { api_base: Some(Base::parse("http://localhost:8080").unwrap()), ..empty };
        assert!(with(&[], local).unwrap().api_key.is_none());
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_named_not_printed() {
        let config = Config { api_key: Some(Secret::new("sk-a b")), ..Config::default() };
        let error = with(&[], config).unwrap_err();
        assert!(!error.message.contains("sk-a"));
        assert_eq!(format!("{:?}", Secret::new("sk-secret")), "Secret(…)");
    }

    #[test]
    fn proxies_are_read_once_and_capitals_not_in_cgi() {
        let key = ("APERTIS_API_KEY", "k");
        let settings = with(&[key, ("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "a,b")], Config::default()).unwrap();
        assert_eq!(settings.proxies.http.as_deref(), Some("http://p:1"));
        assert_eq!(settings.proxies.no_proxy.as_deref(), Some("a,b"));
        let settings = with(&[key, ("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")], Config::default()).unwrap();
        assert_eq!(settings.proxies.http, None);
    }
}
