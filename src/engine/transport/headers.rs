//! Response headers that mean something to us.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// The headers as name and value; values that are no text are read as Latin-1, as HTTP says.
#[must_use]
pub fn to_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => text.to_owned(),
                Err(_) => value.as_bytes().iter().map(|b| char::from(*b)).collect(),
            };
            (name.as_str().to_owned(), text)
        })
        .collect()
}

fn get<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
}

/// The id under which the provider's support finds the request: the first that is there.
#[must_use]
pub fn request_id(headers: &[(String, String)]) -> Option<String> {
    ["x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "mistral-correlation-id", "x-generation-id", "cf-ray"]
        .iter()
        .find_map(|name| get(headers, name))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
}

/// What the server says of trying again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetryAdvice {
    /// How long to wait; `None`: not said, or not usable (zero, past, no number).
    pub after: Option<Duration>,
    /// `x-should-retry`.
    pub should: Option<bool>,
}

/// Reads `retry-after-ms`, `retry-after` (seconds or a date) and `x-should-retry`.
#[must_use]
pub fn retry_advice(headers: &[(String, String)], now: SystemTime) -> RetryAdvice {
    let number = |name: &str| get(headers, name).and_then(|v| v.parse::<f64>().ok()).filter(|v| !v.is_nan());
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after")).or_else(|| {
        let date = httpdate::parse_http_date(get(headers, "retry-after")?).ok()?;
        Some(match date.duration_since(now) {
            Ok(wait) => wait.as_secs_f64(),
            Err(past) => -past.duration().as_secs_f64(),
        })
    });
    RetryAdvice {
        // Absurd numbers (1e999) are kept as "very long", so that they stop the retries instead of being ignored.
        after: seconds.filter(|s| *s > 0.0).map(|s| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX)),
        should: match get(headers, "x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(pairs: &[(&str, &str)]) -> RetryAdvice {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        retry_advice(&pairs, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let secs = |s| Some(Duration::from_secs_f64(s));
        for (headers, after) in [
            (&[("Retry-After", "2")][..], secs(2.0)),
            (&[("retry-after", "1.5")], secs(1.5)),
            (&[("retry-after-ms", "250"), ("retry-after", "9")], secs(0.25)),
            (&[("retry-after-ms", "0"), ("retry-after", "1")], None),
            (&[("retry-after-ms", "soon"), ("retry-after", "3")], secs(3.0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], secs(10.0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "nan")], None),
            (&[("retry-after", "1e999")], Some(Duration::MAX)),
            (&[], None),
        ] {
            assert_eq!(advice(headers).after, after, "{headers:?}");
        }
        assert_eq!(advice(&[("x-should-retry", "true")]).should, Some(true));
        assert_eq!(advice(&[("X-Should-Retry", "false")]).should, Some(false));
        assert_eq!(advice(&[("x-should-retry", "maybe")]).should, None);
    }
}
