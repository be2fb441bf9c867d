//! A gateway on loopback that speaks Chat Completions, Responses and Messages, says what it is told
//! to say, fails as it is told to fail, and remembers what it received. `README.md` is its manual.

mod answer;
mod body;
mod chat;
mod conversation;
mod cut;
mod embeddings;
mod failure;
mod fixtures;
mod format;
mod handler;
mod hub;
mod messages;
mod reply;
mod responses;
mod script;
mod server;
mod stream;
mod valve;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::hub::Hub;

/// A running gateway: one thread, one port on 127.0.0.1. It stops when this is dropped.
pub struct Gateway {
    port: u16,
    hub: Arc<Hub>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway on a free port, without fixtures.
    ///
    /// # Panics
    /// If no port or thread can be had.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on(0, Vec::new())
    }

    /// Starts a gateway on this port (0: a free one) that finds its fixtures in these folders
    /// (each holds `chat/`, `responses/`, `messages/`).
    ///
    /// # Panics
    /// If the port or a thread cannot be had.
    #[must_use]
    pub fn start_on(port: u16, fixtures: Vec<PathBuf>) -> Self {
        match Self::try_start_on(port, fixtures) {
            Ok(gateway) => gateway,
            Err(error) => panic!("the loopback gateway cannot listen on port {port}: {error}"),
        }
    }

    /// As [`Gateway::start_on`], with the error instead of a panic.
    ///
    /// # Errors
    /// If the port or a thread cannot be had.
    pub fn try_start_on(port: u16, fixtures: Vec<PathBuf>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            server::listen(port)?
        };
        let port = listener.local_addr()?.port();
        let hub = Arc::new(Hub::new(fixtures));
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&hub);
        let thread = std::thread::Builder::new().name("apertis-gateway".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = server::accept(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { port, hub, stop: Some(stop), thread: Some(thread) })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The base URL for clients: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What came with this key, oldest first; everything for `None`. The objects are those of `GET /_log`.
    #[must_use]
    pub fn log(&self, key: Option<&str>) -> Vec<Value> {
        self.hub.log(key)
    }

    /// Forgets the log and the counters, as `GET /_reset` does.
    pub fn reset(&self) {
        self.hub.reset();
    }

    /// `{accepted, open, in_flight, max_in_flight, requests, cancelled}`, as `GET /_stats` says.
    #[must_use]
    pub fn stats(&self) -> Value {
        self.hub.stats()
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the serving thread has been reported on stderr already.
            let _ = thread.join();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended before.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
