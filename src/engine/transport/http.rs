//! The HTTP client: connections, proxies, redirects, and what its errors mean.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy};
use tokio::sync::OnceCell;

use super::tls;
use crate::engine::config::{ProxyChoice, Settings};
use crate::engine::error::{Error, Kind, Result};

/// Many gateways close idle connections after 60 s; ours go before theirs do.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;
const MOST_POOLS: usize = 16;

/// One client's connections. Each of the library's threads has a pool of its own, so that a connection lives where its
/// streams do.
#[derive(Debug)]
pub struct Http {
    proxies: Vec<Proxy>,
    is_https: bool,
    tls: OnceCell<rustls::ClientConfig>,
    pools: Mutex<HashMap<PoolKey, reqwest::Client>>,
    /// An answer was read to its end: later requests may go out on its connection.
    has_served: AtomicBool,
}

/// Which thread, and the connect timeout that its connector was built with.
type PoolKey = (usize, Option<Duration>);

impl Http {
    /// Checks the proxies; opens and loads nothing.
    pub fn new(settings: &Settings) -> Result<Self> {
        Ok(Self {
            proxies: proxies(settings)?,
            is_https: settings.base.place().starts_with("https"),
            tls: OnceCell::new(),
            pools: Mutex::default(),
            has_served: AtomicBool::new(false),
        })
    }

    /// An answer was read to its end.
    pub fn note_served(&self) {
        self.has_served.store(true, Ordering::Relaxed);
    }

    /// Whether a request that died before its answer may have gone out on a connection that the server had given up: then
    /// another attempt need not wait. The HTTP client does not tell which connection it took.
    #[must_use]
    pub fn may_reuse(&self) -> bool {
        self.has_served.load(Ordering::Relaxed)
    }

    /// The pool of thread `worker`. Runs on that thread.
    pub async fn pool(&self, worker: usize, connect: Option<Duration>, settings: &Settings) -> Result<reqwest::Client> {
        let known = self.pools.lock().unwrap_or_else(PoisonError::into_inner).get(&(worker, connect)).cloned();
        if let Some(pool) = known {
            return Ok(pool);
        }
        let tls = self.tls.get_or_try_init(|| self.load_tls(settings)).await?.clone();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        // Streams that waited for the roots together come here one after the other: the first one's pool serves all.
        if let Some(pool) = pools.get(&(worker, connect)) {
            return Ok(pool.clone());
        }
        let pool = self.build(tls, connect)?;
        if pools.len() >= MOST_POOLS {
            // Whoever sets another connect timeout for every request has no use for kept connections.
            pools.clear();
        }
        pools.insert((worker, connect), pool.clone());
        Ok(pool)
    }

    async fn load_tls(&self, settings: &Settings) -> Result<rustls::ClientConfig> {
        if !self.is_https {
            return tls::none();
        }
        let (trust, added) = (settings.config.trust, settings.config.added_roots.clone());
        tokio::task::spawn_blocking(move || tls::configuration(trust, &added))
            .await
            .map_err(|e| Error::new(Kind::Internal, format!("the trusted roots could not be loaded: {e}")))?
    }

    fn build(&self, tls: rustls::ClientConfig, connect: Option<Duration>) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(same_origin_only())
            // Attempts are counted by us alone.
            .retry(reqwest::retry::never())
            // The environment was read when the client was made; it is not read again here.
            .no_proxy()
            .referer(false)
            .pool_idle_timeout(IDLE_CONNECTION)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tcp_nodelay(true);
        if let Some(limit) = connect {
            builder = builder.connect_timeout(limit);
        }
        for proxy in &self.proxies {
            builder = builder.proxy(proxy.clone());
        }
        builder.build().map_err(|e| Error::new(Kind::Internal, format!("the HTTP client cannot be set up: {}", causes(&e))))
    }
}

/// Redirects within one origin are followed; elsewhere the answer itself comes back, and the key stays here.
fn same_origin_only() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if same && attempt.previous().len() <= MAX_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn proxies(settings: &Settings) -> Result<Vec<Proxy>> {
    // A proxy's URL may hold a password, so it stands in no message.
    let bad = |what: &str| Error::argument(format!("the proxy URL ({what}) cannot be used"));
    match &settings.config.proxy {
        ProxyChoice::None => Ok(Vec::new()),
        ProxyChoice::Url(url) => Ok(vec![Proxy::all(url.as_str()).map_err(|_| bad("of the configuration"))?]),
        ProxyChoice::Environment => {
            let variables = &settings.proxies;
            let except = || variables.no_proxy.as_deref().and_then(NoProxy::from_string);
            let mut all = Vec::new();
            if let Some(url) = &variables.http {
                all.push(Proxy::http(url.as_str()).map_err(|_| bad("http_proxy"))?.no_proxy(except()));
            }
            if let Some(url) = &variables.https {
                all.push(Proxy::https(url.as_str()).map_err(|_| bad("https_proxy"))?.no_proxy(except()));
            }
            Ok(all)
        }
    }
}

/// What a failure before the response's head means.
#[must_use]
pub fn send_error(error: reqwest::Error, place: &str) -> Error {
    if let Some(cause) = find::<rustls::Error>(&error) {
        return Error::new(Kind::Tls, format!("TLS with {place} failed: {}", tls_cause(cause)));
    }
    let error = error.without_url();
    if error.is_timeout() {
        return Error::new(Kind::TimedOut, format!("no connection to {place} within the connect timeout")).retryable();
    }
    if error.is_connect() {
        return Error::new(Kind::Connect, format!("cannot connect to {place}: {}", causes(&error))).retryable();
    }
    if let Some(cause) = find::<hyper::Error>(&error).filter(|e| e.is_parse()) {
        return Error::new(Kind::Protocol, format!("{place} does not answer as an HTTP server does: {cause}"));
    }
    if error.is_builder() {
        return Error::argument(format!("the request cannot be sent: {}", causes(&error)));
    }
    Error::new(Kind::Disconnected, format!("{place} closed the connection before it answered: {}", causes(&error))).retryable()
}

/// What a failure in the middle of the body means.
#[must_use]
pub fn body_error(error: reqwest::Error, place: &str) -> Error {
    let error = error.without_url();
    let was_cut = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_incomplete_message);
    match find::<io::Error>(&error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            Error::new(Kind::Protocol, format!("{place} sent a body that cannot be decoded: {}", causes(&error)))
        }
        Some(io::ErrorKind::UnexpectedEof) => truncated(place),
        None if was_cut => truncated(place),
        _ => Error::new(Kind::Disconnected, format!("the connection to {place} broke: {}", causes(&error))).retryable(),
    }
}

fn truncated(place: &str) -> Error {
    Error::new(Kind::Truncated, format!("{place} closed the connection in the middle of its answer")).retryable()
}

/// The names that users know for what a certificate may be lacking.
fn tls_cause(error: &rustls::Error) -> String {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(cause) => match cause {
            C::Expired | C::ExpiredContext { .. } => "the certificate has expired".to_owned(),
            C::NotValidYet | C::NotValidYetContext { .. } => "the certificate is not valid yet".to_owned(),
            C::NotValidForName | C::NotValidForNameContext { .. } => format!("the certificate is for another host ({cause})"),
            C::UnknownIssuer => "the certificate's issuer is not trusted (unknown CA)".to_owned(),
            other => format!("invalid certificate: {other}"),
        },
        other => other.to_string(),
    }
}

/// The first cause of type `T`; causes that hide inside an I/O error are looked at too.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(|e| e.get_ref()) {
            if let Some(found) = find::<T>(inner) {
                return Some(found);
            }
        }
        next = error.source();
    }
    None
}

/// The chain of causes in one line, without what repeats itself.
fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut all: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !all.iter().any(|known| known.contains(&text)) {
            all.push(text);
        }
        next = error.source();
    }
    all.join(": ")
}
