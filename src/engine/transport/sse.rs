//! Server-sent events by the standard, from bytes that may be cut anywhere.
//!
//! Lines end with LF, CR or CRLF and with nothing else; a data line that lies whole in one network read is handed on
//! without a copy. Comments, `id`, `retry` and unknown fields are skipped.

use std::ops::ControlFlow;

use crate::engine::error::{Error, Kind, Result};

/// The largest event that is taken in, in bytes.
pub const MAX_FRAME: usize = 32 << 20;

/// One dispatched event: its name (empty: none) and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub name: &'a [u8],
    pub data: &'a [u8],
}

/// Splits a byte stream into [`Frame`]s.
#[derive(Debug)]
pub struct Splitter {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The data lines so far, with an LF between them.
    data: Vec<u8>,
    has_data: bool,
    name: Vec<u8>,
    /// The last read ended with CR: an LF that comes next belongs to it.
    after_cr: bool,
    at_start: bool,
    saw_fields: bool,
    max_frame: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::with_max_frame(MAX_FRAME)
    }
}

impl Splitter {
    /// A splitter that refuses events of more than `max_frame` bytes.
    #[must_use]
    pub fn with_max_frame(max_frame: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            name: Vec::new(),
            after_cr: false,
            at_start: true,
            saw_fields: false,
            max_frame,
        }
    }

    /// Whether anything had the form of an event stream: tells one that was cut from garbage.
    #[must_use]
    pub fn saw_fields(&self) -> bool {
        self.saw_fields
    }

    /// Takes a network read and hands each event that it completes to `on_frame`, which may stop the reading.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_frame: impl FnMut(Frame<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut rest = bytes;
        // The data of the event under way, while it still lies in `bytes`.
        let mut borrowed: Option<&[u8]> = None;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let line = &rest[..end];
            let is_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if is_cr {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let complete = if self.line.is_empty() && !self.at_start {
                self.take_line(line, &mut borrowed)
            } else {
                self.take_split_line(line, &mut borrowed)
            };
            if complete {
                let flow = if self.has_data {
                    on_frame(Frame { name: &self.name, data: borrowed.take().unwrap_or(&self.data) })?
                } else {
                    ControlFlow::Continue(())
                };
                self.has_data = false;
                self.data.clear();
                self.name.clear();
                if flow.is_break() {
                    return Ok(flow);
                }
            } else if self.data.len() + borrowed.map_or(0, <[u8]>::len) > self.max_frame {
                return Err(self.too_large());
            }
        }
        self.keep(borrowed);
        self.line.extend_from_slice(rest);
        if self.line.len() + self.data.len() > self.max_frame {
            return Err(self.too_large());
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The end of the bytes. The standard drops an event without its empty line; servers that forget that line exist, so
    /// the caller gets what there is and keeps it only if it is whole.
    pub fn finish(&mut self, on_frame: impl FnOnce(Frame<'_>) -> Result<()>) -> Result<()> {
        if !self.line.is_empty() {
            let mut none = None;
            self.take_split_line(&[], &mut none);
        }
        if std::mem::take(&mut self.has_data) {
            return on_frame(Frame { name: &self.name, data: &self.data });
        }
        Ok(())
    }

    /// A line whose beginning came with an earlier read, or the very first one.
    fn take_split_line(&mut self, end: &[u8], borrowed: &mut Option<&[u8]>) -> bool {
        self.keep(borrowed.take());
        let mut whole = std::mem::take(&mut self.line);
        whole.extend_from_slice(end);
        let mut line = whole.as_slice();
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let mut data = None;
        let complete = self.take_line(line, &mut data);
        self.keep(data);
        whole.clear();
        self.line = whole;
        complete
    }

    /// One line without its end. True for the empty line, which completes an event.
    fn take_line<'b>(&mut self, line: &'b [u8], borrowed: &mut Option<&'b [u8]>) -> bool {
        if line.is_empty() {
            return true;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.keep(borrowed.take());
                    self.data.push(b'\n');
                    self.data.extend_from_slice(value);
                } else {
                    *borrowed = Some(value);
                }
                self.has_data = true;
                self.saw_fields = true;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
                self.saw_fields = true;
            }
            b"" | b"id" | b"retry" => self.saw_fields = true,
            _ => {}
        }
        false
    }

    fn keep(&mut self, data: Option<&[u8]>) {
        if let Some(data) = data {
            self.data.extend_from_slice(data);
        }
    }

    fn too_large(&self) -> Error {
        Error::new(Kind::TooLarge, format!("the server sent an event of more than {} bytes", self.max_frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8], step: usize) -> Vec<(String, String)> {
        let mut splitter = Splitter::default();
        let mut frames = Vec::new();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        for piece in bytes.chunks(step) {
            let flow = splitter.feed(piece, |f| {
                frames.push((text(f.name), text(f.data)));
                Ok(ControlFlow::Continue(()))
            });
            assert!(flow.unwrap().is_continue());
        }
        splitter
            .finish(|f| {
                frames.push((text(f.name), format!("unfinished {}", text(f.data))));
                Ok(())
            })
            .unwrap();
        frames
    }

    #[test]
    fn every_cut_gives_the_same_events() {
        let stream = "\u{feff}: hello\r\nevent: a\r\ndata: one\r\n\r\ndata:two\n\n\
            data: three\rdata:  four\r\rid: 1\nretry: 5\n\nevent: lost\n\nunknown: x\ndata\ndata: \u{2028}é\u{85}\n\ndata: last";
        let expected = [("a", "one"), ("", "two"), ("", "three\n four"), ("", "\n\u{2028}é\u{85}"), ("", "unfinished last")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        for step in 1..=stream.len() {
            assert_eq!(split(stream.as_bytes(), step), expected, "step {step}");
        }
    }

    #[test]
    fn the_reader_may_stop_in_the_middle() {
        let mut splitter = Splitter::default();
        let mut seen = 0;
        let flow = splitter
            .feed(b"data: 1\n\ndata: 2\n\ndata: 3\n\n", |_| {
                seen += 1;
                Ok(if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .unwrap();
        assert!(flow.is_break());
        assert_eq!(seen, 2);
    }

    #[test]
    fn an_event_without_end_is_refused_at_the_bound() {
        for endless in [&b"data: xxxxxxxxxxxxxxx"[..], b"data: xxxxxxx\n", b"x"] {
            let mut splitter = Splitter::with_max_frame(1000);
            let error =
                (0..2000).find_map(|_| splitter.feed(endless, |_| Ok(ControlFlow::Continue(()))).err()).expect("must end");
            assert_eq!(error.kind(), Kind::TooLarge);
        }
    }

    #[test]
    fn garbage_is_told_from_an_event_stream() {
        let mut splitter = Splitter::default();
        let feed = |splitter: &mut Splitter, bytes: &[u8]| {
            splitter.feed(bytes, |_| Ok(ControlFlow::Continue(()))).unwrap().is_continue()
        };
        assert!(feed(&mut splitter, b"<html>\n<p>no\n\n"));
        assert!(!splitter.saw_fields());
        assert!(feed(&mut splitter, b": ping\n"));
        assert!(splitter.saw_fields());
    }
}
