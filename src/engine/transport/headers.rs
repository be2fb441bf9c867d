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

/// How long a client had better pause, by the rate-limit headers of an answer: until the reset, where nothing remains.
#[must_use]
pub fn rate_limit_pause(headers: &[(String, String)], now: SystemTime) -> Option<Duration> {
    [("x-ratelimit-remaining", "x-ratelimit-reset"), ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")]
        .into_iter()
        .filter(|(remaining, _)| get(headers, remaining).and_then(|v| v.parse::<f64>().ok()).is_some_and(|n| n <= 0.0))
        .find_map(|(_, reset)| until(get(headers, reset)?, now))
}

/// A reset time: seconds from now, seconds since 1970, or a duration as Go writes it ("1m2.5s", "12ms").
fn until(text: &str, now: SystemTime) -> Option<Duration> {
    // Seconds up to here are a wait, above they are a date.
    const FIRST_DATE: f64 = 1e9;
    let seconds = match text.parse::<f64>() {
        Ok(seconds) if seconds >= FIRST_DATE => {
            seconds - now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
        }
        Ok(seconds) => seconds,
        Err(_) => go_duration(text)?,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_zero())
}

fn go_duration(mut text: &str) -> Option<f64> {
    let mut sum = 0.0;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = text[..digits].parse().ok()?;
        let rest = &text[digits..];
        let (unit, length) = [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(name, _)| rest.starts_with(name))?;
        sum += number * length;
        text = &rest[unit.len()..];
    }
    Some(sum)
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

    #[test]
    fn resets_in_all_their_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let pause = |remaining: &str, reset: &str| {
            let pairs = [("X-RateLimit-Remaining", remaining), ("X-RateLimit-Reset", reset)];
            rate_limit_pause(&pairs.map(|(a, b)| (a.to_owned(), b.to_owned())), now)
        };
        for (reset, seconds) in
            [("2000000030", 30.0), ("12", 12.0), ("1.5", 1.5), ("12ms", 0.012), ("1h2m3.5s", 3723.5), ("17.5s", 17.5)]
        {
            assert_eq!(pause("0", reset), Some(Duration::from_secs_f64(seconds)), "{reset}");
        }
        for (remaining, reset) in
            [("1", "12"), ("0", "0"), ("0", "soon"), ("0", "5x"), ("-1", "1999999999"), ("x", "3"), ("0", "")]
        {
            assert_eq!(pause(remaining, reset), None, "{remaining} {reset}");
        }
    }
}
