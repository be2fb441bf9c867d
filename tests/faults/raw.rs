//! A server for answers that no HTTP library would give. Which one, the request's header `x-gateway` says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// A Chat Completions stream of a server that does not know UTF-8.
const LATIN_1: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"caf\xe9\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

/// Listens on a free port of loopback until the process ends; the base URL.
pub fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let base = format!("http://{}/v1", listener.local_addr().expect("it has an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    base
}

/// A client that hangs up early is no fault of this server's.
fn answer(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut length, mut wanted) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some((name, value)) if name.eq_ignore_ascii_case("x-gateway") => value.clone_into(&mut wanted),
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let mut stream = stream;
    match wanted.as_str() {
        "ssh" => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").ok()?,
        "chunk-size" => stream.write_all(&stream_of(b"many\r\ndata: {}\n\n\r\n0\r\n\r\n")).ok()?,
        "latin-1" => stream.write_all(&stream_of(&chunk(LATIN_1))).ok()?,
        "endless-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").ok()?;
            // 64 MiB: the client gives up long before.
            for number in 0..1 << 20 {
                stream.write_all(format!("x-{number}: {}\r\n", "y".repeat(48)).as_bytes()).ok()?;
            }
        }
        other => panic!("no answer is called {other:?}"),
    }
    Some(())
}

/// A chunk and the end of the chunks.
fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n0\r\n\r\n"].concat()
}

fn stream_of(body: &[u8]) -> Vec<u8> {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    [head, body].concat()
}
