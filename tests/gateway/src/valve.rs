//! The fault valve: sits between the socket and hyper, counts what goes over the wire, and cuts or
//! stalls at the byte. hyper itself can do none of that: it ends a body only where its framing ends.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{ready, Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, Sleep};

use crate::hub::Hub;
use crate::script::Place;

/// An RST overtakes nothing on loopback, but some systems throw away what the client has not read yet.
const SETTLE: Duration = Duration::from_millis(5);

const HEAD_END: &[u8] = b"\r\n\r\n";

/// What happens at a place on the wire.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Stall(Duration),
    Reset,
    Close,
}

/// Where the answer's bytes on the wire stand.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// How much of the empty line that ends the head has been seen.
    matched: usize,
    in_body: bool,
    body: u64,
}

impl Position {
    /// The length of the part of `bytes` that belongs to the head.
    fn head_part(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_body {
                return at;
            }
            self.matched = if *byte == HEAD_END[self.matched] { self.matched + 1 } else { usize::from(*byte == b'\r') };
            self.in_body = self.matched == HEAD_END.len();
        }
        bytes.len()
    }

    fn advance(&mut self, bytes: &[u8]) {
        let head = if self.in_body { 0 } else { self.head_part(bytes) };
        self.body += (bytes.len() - head) as u64;
    }

    /// How much of `bytes` comes before byte `stop` of the body.
    fn room(mut self, bytes: &[u8], stop: u64) -> usize {
        let head = if self.in_body { 0 } else { self.head_part(bytes) };
        if !self.in_body {
            return bytes.len();
        }
        let left = usize::try_from(stop.saturating_sub(self.body)).unwrap_or(usize::MAX);
        bytes.len().min(head.saturating_add(left))
    }

    fn reached(&self, place: Place) -> bool {
        match place {
            Place::Accept | Place::Head => true,
            Place::Body(at) => self.in_body && self.body >= at,
        }
    }
}

#[derive(Default)]
struct State {
    /// An answer that counts is being made or sent.
    answering: bool,
    /// hyper has taken all of the body.
    body_done: bool,
    position: Position,
    cuts: VecDeque<(Place, Action)>,
    /// Bytes behind a body that claimed to be shorter.
    extra: Option<(u64, Bytes)>,
    idle_close: Option<Duration>,
    /// A body piece has been handed to hyper and not been written yet.
    unflushed: bool,
    body_waker: Option<Waker>,
}

/// What the answer wants done to the wire.
#[derive(Default)]
pub struct Plan {
    pub cuts: Vec<(Place, Action)>,
    pub extra: Option<(u64, Bytes)>,
    pub idle_close: Option<Duration>,
}

/// The side of a connection's valve that the handler and the body hold.
pub struct Link {
    state: Mutex<State>,
    hub: Arc<Hub>,
    /// The connection's serial number.
    pub connection: u64,
}

impl Link {
    /// For a new connection.
    pub fn new(hub: Arc<Hub>) -> Self {
        let connection = hub.accepted();
        Self { state: Mutex::default(), hub, connection }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has arrived; the number of its answer.
    pub fn begin(&self) -> u64 {
        let mut state = self.state();
        state.answering = true;
        state.body_done = false;
        self.hub.begin()
    }

    /// The answer is about to be handed to hyper.
    pub fn arm(&self, plan: Plan) {
        let mut state = self.state();
        state.position = Position::default();
        state.cuts = plan.cuts.into();
        state.extra = plan.extra;
        state.idle_close = plan.idle_close;
    }

    /// hyper has been given all of the body, or wants no more of it.
    pub fn body_done(&self) {
        self.state().body_done = true;
    }

    /// A piece of the body goes to hyper.
    pub fn handed(&self) {
        self.state().unflushed = true;
    }

    /// Ready as soon as the last piece is with the kernel.
    pub fn poll_flushed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.unflushed {
            return Poll::Ready(());
        }
        // The first time hyper may not have tried to write yet: it does when it is woken. From then on the
        // valve wakes us, or a stalled socket would make us spin.
        if state.body_waker.is_none() {
            cx.waker().wake_by_ref();
        }
        state.body_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The answer has ended before its time.
    fn ended(&self, cancelled: bool) {
        let mut state = self.state();
        if state.answering {
            state.answering = false;
            self.hub.end(cancelled);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Nobody but the client can have ended an answer that is still open.
        self.ended(true);
        self.hub.closed();
    }
}

/// A socket that does what the plan says.
pub struct Valve {
    io: Option<TcpStream>,
    link: Arc<Link>,
    waiting: Option<Pin<Box<Sleep>>>,
    idle: Option<Pin<Box<Sleep>>>,
    hung_up: bool,
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}

impl Valve {
    /// Around this socket.
    pub fn new(io: TcpStream, link: Arc<Link>) -> Self {
        Self { io: Some(io), link, waiting: None, idle: None, hung_up: false }
    }

    /// Waits once, until the time is over.
    fn poll_wait(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(())
    }

    /// Notices a client that is gone even while nothing is read or written.
    fn check_client(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(io) = &self.io else {
            return Err(gone());
        };
        if !self.hung_up && self.link.state().answering {
            let mut byte = [0];
            self.hung_up = match io.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
                Poll::Ready(Ok(length)) => length == 0,
                Poll::Ready(Err(_)) => true,
                Poll::Pending => false,
            };
        }
        if self.hung_up {
            return Err(gone());
        }
        Ok(())
    }

    /// Does what is due where the wire stands.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let due = {
                let state = self.link.state();
                state.cuts.front().copied().filter(|(place, _)| state.position.reached(*place))
            };
            let Some((place, action)) = due else {
                return Poll::Ready(Ok(()));
            };
            if !matches!(action, Action::Stall(_)) {
                // From here on it is us who ends it, even if the client should be faster.
                self.link.ended(false);
            }
            self.check_client(cx)?;
            match action {
                Action::Stall(time) => ready!(self.poll_wait(cx, time)),
                Action::Reset => {
                    if place != Place::Accept {
                        ready!(self.poll_wait(cx, SETTLE));
                    }
                    if let Some(io) = self.io.take() {
                        // If it fails the client sees a FIN; there is nobody to tell.
                        let _ = io.set_zero_linger();
                    }
                    return Poll::Ready(Err(gone()));
                }
                Action::Close => {
                    if let Some(io) = &mut self.io {
                        let _ = ready!(Pin::new(io).poll_shutdown(cx));
                    }
                    self.io = None;
                    return Poll::Ready(Err(gone()));
                }
            }
            self.link.state().cuts.pop_front();
        }
    }

    /// Writes the bytes behind a body that claimed to be shorter.
    fn poll_extra(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let due = {
                let state = self.link.state();
                let reached = |at: u64| state.position.reached(Place::Body(at));
                state.extra.clone().filter(|(at, _)| reached(*at))
            };
            let (Some((at, mut bytes)), Some(io)) = (due, &mut self.io) else {
                return Poll::Ready(Ok(()));
            };
            let written = ready!(Pin::new(io).poll_write(cx, &bytes))?;
            bytes.advance(written);
            self.link.state().extra = (!bytes.is_empty()).then_some((at, bytes));
        }
    }

    /// All that hyper had has been written.
    fn flushed(&mut self, cx: &mut Context<'_>) {
        let mut state = self.link.state();
        state.unflushed = false;
        if let Some(waker) = state.body_waker.take() {
            waker.wake();
        }
        if !(state.answering && state.body_done) {
            return;
        }
        state.cuts.clear();
        let idle_close = state.idle_close;
        drop(state);
        self.link.ended(false);
        if let Some(time) = idle_close {
            let mut idle = Box::pin(sleep(time));
            // Polled once so that it wakes the connection; the next read looks at it.
            let _ = idle.as_mut().poll(cx);
            self.idle = Some(idle);
        }
    }
}

impl AsyncRead for Valve {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let valve = &mut *self;
        let Some(io) = &mut valve.io else {
            return Poll::Ready(Err(gone()));
        };
        let before = buffer.filled().len();
        match Pin::new(io).poll_read(cx, buffer) {
            Poll::Pending => {
                if let Some(idle) = &mut valve.idle {
                    // To hyper the end of our patience looks like the client's FIN: it closes.
                    ready!(idle.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending
            }
            Poll::Ready(Ok(())) => {
                valve.idle = None;
                valve.hung_up = buffer.filled().len() == before;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                valve.hung_up = true;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl AsyncWrite for Valve {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let valve = &mut *self;
        ready!(valve.poll_due(cx))?;
        ready!(valve.poll_extra(cx))?;
        valve.check_client(cx)?;
        let (watched, room) = {
            let state = valve.link.state();
            let cut = state.cuts.front().and_then(|(place, _)| match place {
                Place::Body(at) => Some(*at),
                Place::Accept | Place::Head => None,
            });
            let extra = state.extra.as_ref().map(|(at, _)| *at);
            match cut.into_iter().chain(extra).min() {
                Some(stop) => (true, state.position.room(bytes, stop)),
                None => (false, bytes.len()),
            }
        };
        let Some(io) = &mut valve.io else {
            return Poll::Ready(Err(gone()));
        };
        let written = ready!(Pin::new(io).poll_write(cx, &bytes[..room]))?;
        if watched {
            valve.link.state().position.advance(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let valve = &mut *self;
        ready!(valve.poll_due(cx))?;
        ready!(valve.poll_extra(cx))?;
        valve.check_client(cx)?;
        valve.flushed(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Some(io) => Pin::new(io).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_head_is_found_wherever_the_writes_end() {
        let wire = b"HTTP/1.1 200 OK\r\na: b\r\n\r\nBODY";
        for cut in 0..wire.len() {
            let mut position = Position::default();
            position.advance(&wire[..cut]);
            position.advance(&wire[cut..]);
            assert!(position.in_body, "{cut}");
            assert_eq!(position.body, 4, "{cut}");
        }
    }

    #[test]
    fn room_ends_at_the_byte() {
        let wire = b"H\r\n\r\nBODY";
        let start = Position::default();
        assert_eq!(start.room(wire, 0), 5);
        assert_eq!(start.room(wire, 3), 8);
        assert_eq!(start.room(wire, 99), 9);
        assert_eq!(start.room(b"H\r\n", 0), 3);
    }
}
