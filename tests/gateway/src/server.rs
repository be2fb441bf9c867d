//! Connections.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::handler::handle;
use crate::hub::Hub;
use crate::valve::{Link, Valve};

/// Thousands of clients may connect at once.
const BACKLOG: u32 = 4096;

/// Scripts in headers may be long: texts, bodies, arguments.
const BUFFER: usize = 4 << 20;

/// Listens on loopback, and nowhere else. Needs a runtime around it.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // On Windows this would let two processes share a port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)
}

/// Serves until it is dropped.
pub async fn accept(listener: TcpListener, hub: Arc<Hub>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&hub)));
            }
            // Out of file descriptors, most likely: some come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, hub: Arc<Hub>) {
    // Without it small writes would wait for each other; if it fails they do.
    let _ = stream.set_nodelay(true);
    let link = Arc::new(Link::new(Arc::clone(&hub)));
    let valve = Valve::new(stream, Arc::clone(&link));
    let service = service_fn(move |request| handle(Arc::clone(&hub), Arc::clone(&link), request));
    let serving = http1::Builder::new()
        .max_buf_size(BUFFER)
        .writev(false)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(valve), service);
    // It ends with an error whenever a fault is played or a client hangs up.
    let _ = serving.await;
}
