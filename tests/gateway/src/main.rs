//! The gateway as a program: see README.md.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use apertis_gateway::Gateway;

const USAGE: &str = "apertis-gateway [--port N] [--fixtures DIR[:DIR...]] [--print-port]";

struct Arguments {
    port: u16,
    fixtures: Vec<PathBuf>,
    print_port: bool,
}

fn parse(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { port: 0, fixtures: Vec::new(), print_port: false };
    while let Some(name) = given.next() {
        match name.as_str() {
            "--port" => {
                let value = given.next().ok_or("--port needs a number")?;
                arguments.port = value.parse().map_err(|_| format!("--port: not a port: {value}"))?;
            }
            "--fixtures" => {
                let value = given.next().ok_or("--fixtures needs a folder")?;
                arguments.fixtures.extend(std::env::split_paths(&value));
            }
            "--print-port" => arguments.print_port = true,
            "--help" | "-h" => return Err(String::new()),
            other => return Err(format!("unknown argument: {other}")),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) if why.is_empty() => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let gateway = match Gateway::try_start_on(arguments.port, arguments.fixtures) {
        Ok(gateway) => gateway,
        Err(error) => {
            eprintln!("cannot listen on 127.0.0.1:{}: {error}", arguments.port);
            return ExitCode::FAILURE;
        }
    };
    let line =
        if arguments.print_port { gateway.port().to_string() } else { format!("listening on 127.0.0.1:{}", gateway.port()) };
    let mut out = std::io::stdout();
    // Whoever started us may not read; that is no reason to stop serving.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    gateway.wait();
    ExitCode::SUCCESS
}
