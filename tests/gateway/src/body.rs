//! A response body: takes pieces from an answer and sends them as the script says.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use flate2::write::GzEncoder;
use flate2::Compression;
use hyper::body::{Body, Frame};
use tokio::time::{sleep, Instant, Sleep};

use crate::stream::Piece;
use crate::valve::Link;

/// What a body is made of.
pub type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// How it is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sending {
    pub pace: Duration,
    /// Bytes of each write; 0: a write for each piece.
    pub chunk: usize,
    pub gap: Duration,
    pub gzip: bool,
    /// The head is a write of its own.
    pub head_first: bool,
    /// The body never ends by itself: the valve cuts it off.
    pub hold_open: bool,
}

/// A body that hyper sends.
pub struct AnswerBody {
    pieces: Pieces,
    /// A piece that waits for its time.
    next: Option<Piece>,
    had_delta: bool,
    sending: Sending,
    gzip: Option<GzEncoder<Vec<u8>>>,
    buffer: BytesMut,
    /// What is in the buffer goes out even if it is less than a chunk.
    flush: bool,
    ended: bool,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    link: Arc<Link>,
}

impl AnswerBody {
    /// A body of these pieces.
    pub fn new(pieces: Pieces, sending: Sending, link: Arc<Link>) -> Self {
        let gzip = sending.gzip.then(|| GzEncoder::new(Vec::new(), Compression::default()));
        if sending.head_first {
            link.handed();
        }
        Self {
            pieces,
            next: None,
            had_delta: false,
            sending,
            gzip,
            buffer: BytesMut::new(),
            flush: false,
            ended: false,
            timer: None,
            waiting: false,
            link,
        }
    }

    /// The pieces as they will be, compressed: to know their length before they are sent.
    pub fn compress(pieces: Pieces) -> Vec<Piece> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut out: Vec<_> = pieces.map(|piece| Piece { bytes: squeeze(&mut gzip, &piece.bytes), delta: piece.delta }).collect();
        let bytes = Bytes::from(gzip.finish().unwrap_or_default());
        out.push(Piece { bytes, delta: false });
        out
    }

    fn wait(&mut self, time: Duration) {
        if time.is_zero() {
            return;
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(Instant::now() + time),
            None => self.timer = Some(Box::pin(sleep(time))),
        }
        self.waiting = true;
    }

    fn take(&mut self, piece: &Piece) {
        match &mut self.gzip {
            Some(gzip) => self.buffer.extend_from_slice(&squeeze(gzip, &piece.bytes)),
            None => self.buffer.extend_from_slice(&piece.bytes),
        }
    }

    /// Fills the buffer, up to the next point where something must be sent or waited for.
    fn fill(&mut self) {
        let piece = match self.next.take() {
            Some(piece) => piece,
            None => match self.pieces.next() {
                Some(piece) => {
                    let paced = piece.delta && self.had_delta && !self.sending.pace.is_zero();
                    self.had_delta |= piece.delta;
                    if paced {
                        self.next = Some(piece);
                        self.flush = true;
                        return;
                    }
                    piece
                }
                None => {
                    if let Some(gzip) = self.gzip.take() {
                        // Writing to memory does not fail.
                        self.buffer.extend_from_slice(&gzip.finish().unwrap_or_default());
                    }
                    self.ended = true;
                    return;
                }
            },
        };
        self.take(&piece);
    }

    /// The next write, if there is enough for one.
    fn write(&mut self) -> Option<Bytes> {
        let length = match self.sending.chunk {
            0 => self.buffer.len(),
            chunk if self.buffer.len() >= chunk => chunk,
            _ if self.flush || self.ended => self.buffer.len(),
            _ => 0,
        };
        if length == 0 {
            return None;
        }
        let bytes = self.buffer.split_to(length).freeze();
        if self.sending.chunk > 0 && (self.buffer.has_remaining() || !self.ended) {
            self.wait(self.sending.gap);
        }
        Some(bytes)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = &mut *self;
        loop {
            // One piece, one write: hyper would put several into one.
            ready!(body.link.poll_flushed(cx));
            if body.waiting {
                if let Some(timer) = &mut body.timer {
                    ready!(timer.as_mut().poll(cx));
                }
                body.waiting = false;
            }
            if let Some(bytes) = body.write() {
                body.link.handed();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if body.ended {
                if body.sending.hold_open {
                    return Poll::Pending;
                }
                return Poll::Ready(None);
            }
            if body.flush {
                body.flush = false;
                body.wait(body.sending.pace);
                // What was held back is sent after the wait.
                if body.waiting {
                    continue;
                }
            }
            body.fill();
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.link.body_done();
    }
}

fn squeeze(gzip: &mut GzEncoder<Vec<u8>>, bytes: &[u8]) -> Bytes {
    // Writing to memory does not fail.
    let _ = gzip.write_all(bytes).and_then(|()| gzip.flush());
    Bytes::from(std::mem::take(gzip.get_mut()))
}
