//! Cuts a text into deltas, one after the other, without holding them all.

use std::sync::Arc;

enum Way {
    /// One delta for each word, with the space that leads it.
    Words,
    /// `of` deltas of about the same number of code points.
    Parts { next: usize, of: usize, points: usize },
}

/// The deltas of one text; together they are the text.
pub struct Cuts {
    text: Arc<str>,
    at: usize,
    way: Way,
}

impl Cuts {
    /// Cuts into `parts` deltas, or fewer if the text has fewer code points; by words for `None`.
    pub fn new(text: Arc<str>, parts: Option<usize>) -> Self {
        let way = match parts {
            None => Way::Words,
            Some(parts) => {
                let points = text.chars().count();
                Way::Parts { next: 0, of: parts.min(points), points }
            }
        };
        Self { text, at: 0, way }
    }
}

impl Iterator for Cuts {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = match &mut self.way {
            Way::Words => word(rest),
            Way::Parts { next, of, points } => {
                let wanted = (*next + 1) * *points / *of - *next * *points / *of;
                *next += 1;
                rest.char_indices().nth(wanted).map_or(rest.len(), |(at, _)| at)
            }
        };
        self.at += length;
        Some(rest[..length].to_owned())
    }
}

fn word(rest: &str) -> usize {
    let start = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
    rest[start..].find(char::is_whitespace).map_or(rest.len(), |end| start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, parts: Option<usize>) -> Vec<String> {
        Cuts::new(Arc::from(text), parts).collect()
    }

    #[test]
    fn words_keep_their_leading_space() {
        assert_eq!(cut("Hello big  world\n", None), ["Hello", " big", "  world", "\n"]);
        assert!(cut("", None).is_empty());
    }

    #[test]
    fn parts_are_cut_between_code_points() {
        assert_eq!(cut("aü👋b", Some(2)), ["aü", "👋b"]);
        assert_eq!(cut("aü👋", Some(9)), ["a", "ü", "👋"]);
        assert_eq!(cut("abcde", Some(2)).concat(), "abcde");
        assert_eq!(cut(&"x".repeat(1000), Some(7)).len(), 7);
    }
}
