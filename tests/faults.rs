//! What goes wrong, and what the caller sees of it: the fault table, the rules of retrying, and the limits of a client.
//! Each is a C program of `tests/faults` that drives the library against the loopback gateway; `tests/c/README.md` lists the
//! variables. APERTIS_FAULT="part of a name" tries only these faults.
#![cfg(target_os = "linux")]

#[path = "faults/raw.rs"]
mod raw;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use apertis_gateway::Gateway;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The library that this test was built with; cargo leaves it beside the test or one folder up.
fn library() -> PathBuf {
    let exe = env::current_exe().expect("a test knows where it is");
    let folders: Vec<PathBuf> = match env::var("APERTIS_LIB_DIR") {
        Ok(folder) => vec![root().join(folder)],
        Err(_) => exe.ancestors().skip(1).take(2).map(Path::to_path_buf).collect(),
    };
    let time = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    let found = folders.iter().map(|folder| folder.join("libapertis.so"));
    let newest = found.filter_map(|path| Some((time(&path)?, path))).max();
    newest.map_or_else(|| panic!("no libapertis.so in {folders:?}: run `cargo build`"), |(_, path)| path)
}

/// Compiles the C files of `tests/faults/NAME.c` or `tests/faults/NAME/` into a program beside links to the library.
fn build(name: &str) -> PathBuf {
    let library = library();
    let folder = |path: &Path| path.file_name().map_or_else(|| "other".into(), |name| name.to_string_lossy().into_owned());
    let profile = library.parent().map_or_else(|| "other".into(), folder);
    let target = env::current_exe().ok().and_then(|exe| exe.ancestors().nth(3).map(Path::to_path_buf));
    let out = target.unwrap_or_else(|| root().join("target")).join("fault-programs").join(profile).join(name);
    fs::create_dir_all(&out).expect("a folder can be made");
    for name in ["libapertis.so", "libapertis.so.0"] {
        let link = out.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&library, &link).expect("a link to the library can be made");
    }
    let sources = root().join("tests/faults").join(name);
    let sources: Vec<PathBuf> = if sources.is_dir() {
        let entries = fs::read_dir(&sources).expect("the folder can be read").flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "c")).collect()
    } else {
        vec![sources.with_extension("c")]
    };
    let program = out.join("program");
    let mut command = Command::new(variable("CC", "cc"));
    command.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g", "-pthread"]);
    for folder in ["include", "tests/c", "tests/faults"] {
        command.arg("-I").arg(root().join(folder));
    }
    command.args(words(&variable("APERTIS_CFLAGS", ""))).args(sources).arg("-o").arg(&program);
    command.arg(format!("-L{}", out.display())).arg("-lapertis").arg(format!("-Wl,-rpath,{}", out.display()));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{name} does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs a program to its end, with gateways of its own; what it printed is printed.
fn run(name: &str, settings: &[(&str, String)]) {
    static TURN: Mutex<()> = Mutex::new(());
    // Programs that measure time and load take turns.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let program = build(name);
    let gateway = Gateway::start();
    let seconds: u64 = variable("STORY_SECONDS", "240").parse().expect("STORY_SECONDS is a number");
    let mut line = words(&variable("APERTIS_RUNNER", ""));
    line.push(program.display().to_string());
    let printed = program.with_file_name("output");
    let file = fs::File::create(&printed).expect("a file can be made");
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).stdin(Stdio::null());
    command.stderr(file.try_clone().expect("a file has two handles")).stdout(file);
    for name in ["APERTIS_API_KEY", "APERTIS_API_BASE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    // cargo's own goes before what the program was linked with.
    command.env("LD_LIBRARY_PATH", program.parent().expect("a program is in a folder"));
    command.env("APERTIS_TEST_BASE", gateway.base()).env("STORY_SECONDS", seconds.to_string());
    command.envs(settings.iter().map(|(name, value)| (name, value)));

    let began = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", line[0]));
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if began.elapsed() > Duration::from_secs(seconds + 30) {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let output = String::from_utf8_lossy(&fs::read(&printed).unwrap_or_default()).into_owned();
    println!("{output}\n{name}: {:.1} s", began.elapsed().as_secs_f64());
    assert!(status.is_some(), "{name} hung and was ended");
    assert!(status.is_some_and(|status| status.success()), "{name} failed: {status:?}");
    assert!(output.lines().any(|line| line.contains(" passed, 0 failed")), "{name} did not say that nothing failed");
}

#[test]
fn fault_table() {
    let other = Gateway::start();
    run("table", &[("APERTIS_TEST_OTHER_BASE", other.base()), ("APERTIS_TEST_RAW_BASE", raw::serve())]);
}

#[test]
fn retry_rules() {
    run("retries", &[]);
}

#[test]
fn limits() {
    run("limits", &[]);
}
