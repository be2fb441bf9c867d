//! Builds and runs the stories of `tests/c` against the loopback gateway, builds and runs the
//! examples, and compiles the header as C and C++. `tests/c/README.md` lists the variables.
#![cfg(target_os = "linux")]

use std::collections::VecDeque;
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use apertis_gateway::Gateway;

const JOBS: usize = 2;
const STRICT: [&str; 4] = ["-pedantic", "-Wall", "-Wextra", "-Werror"];

/// The tests of this file take turns: stories measure time, and only `JOBS` programs run at once.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// Where programs and their output go: `target/c-programs`, for each library its own.
struct Workshop {
    out: PathBuf,
    libraries: PathBuf,
    library: PathBuf,
}

impl Workshop {
    fn open() -> Self {
        let library = library();
        let profile =
            library.parent().and_then(Path::file_name).map_or("other".into(), |name| name.to_string_lossy().into_owned());
        let target = env::current_exe()
            .ok()
            .and_then(|exe| exe.ancestors().nth(3).map(Path::to_path_buf))
            .unwrap_or_else(|| root().join("target"));
        let out = target.join("c-programs").join(profile);
        let libraries = out.join("lib");
        fs::create_dir_all(&libraries).expect("target/c-programs can be made");
        // The library's soname is libapertis.so.0, which cargo does not make; `make install` does.
        for name in ["libapertis.so", "libapertis.so.0"] {
            let link = libraries.join(name);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&library, &link).expect("a link to the library can be made");
        }
        Self { out, libraries, library }
    }

    /// Compiles `sources` into a program unless it is newer than all that it is made of.
    fn build(&self, name: &str, sources: &[PathBuf]) -> Result<PathBuf, String> {
        let program = self.out.join(name);
        let note = self.out.join(format!("{name}.command"));
        let mut command = Command::new(variable("CC", "cc"));
        command.arg("-std=c99").args(STRICT).args(["-g", "-pthread"]);
        command.arg("-I").arg(root().join("include"));
        command.arg("-I").arg(root().join("tests/c"));
        command.args(words(&variable("APERTIS_CFLAGS", "")));
        command.args(sources).arg("-o").arg(&program);
        command.arg(format!("-L{}", self.libraries.display()));
        command.arg("-lapertis").arg(format!("-Wl,-rpath,{}", self.libraries.display()));

        let spelled = format!("{command:?}");
        let built = modified(&program);
        let parts = [self.library.clone(), root().join("include/apertis.h"), root().join("tests/c/story.h")];
        let fresh = fs::read_to_string(&note).is_ok_and(|before| before == spelled)
            && parts.iter().chain(sources).all(|part| built.is_some() && modified(part) <= built);
        if fresh {
            return Ok(program);
        }
        let output = command.output().map_err(|error| format!("{spelled}: {error}"))?;
        if !output.status.success() {
            let _ = fs::remove_file(&program);
            let complaint = String::from_utf8_lossy(&output.stderr);
            let first: Vec<_> = complaint.lines().take(20).collect();
            return Err(format!("does not compile:\n{}", first.join("\n")));
        }
        fs::write(&note, spelled).map_err(|error| error.to_string())?;
        Ok(program)
    }

    /// Runs a program to its end or to the limit; what it printed goes to a file, and from there into the error.
    fn run(&self, name: &str, program: &Path, settings: &[(&str, String)]) -> Result<Finished, String> {
        let seconds: u64 = variable("STORY_SECONDS", "60").parse().unwrap_or(60);
        let limit = Duration::from_secs(seconds * 2);
        let path = self.out.join(format!("{name}.output"));
        let into = || -> io::Result<(Stdio, Stdio)> {
            let file = File::create(&path)?;
            Ok((file.try_clone()?.into(), file.into()))
        };
        let (stdout, stderr) = into().map_err(|error| error.to_string())?;
        let mut line = words(&variable("APERTIS_RUNNER", ""));
        line.push(program.display().to_string());
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        for name in ["APERTIS_API_KEY", "APERTIS_API_BASE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        // `cargo test` sets this, and what stands in it would go before the library that was asked for.
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command.envs(settings.iter().map(|(name, value)| (name, value)));

        let began = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", line[0]))?;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break Some(status);
            }
            if began.elapsed() > limit {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            thread::sleep(Duration::from_millis(3));
        };
        let output = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
        let verdict = match status {
            None => format!("was ended after {} s", limit.as_secs()),
            Some(status) => status.to_string(),
        };
        Ok(Finished {
            good: status.is_some_and(|status| status.success()),
            code: status.and_then(|s| s.code()),
            verdict,
            output,
            took: began.elapsed(),
        })
    }
}

struct Finished {
    good: bool,
    code: Option<i32>,
    verdict: String,
    output: String,
    took: Duration,
}

/// The library that this test was built with; cargo leaves it beside the test or one folder up.
fn library() -> PathBuf {
    let mut folders = Vec::new();
    if let Ok(folder) = env::var("APERTIS_LIB_DIR") {
        folders.push(root().join(folder));
    } else {
        let exe = env::current_exe().expect("a test knows where it is");
        folders.extend(exe.ancestors().skip(1).take(2).map(Path::to_path_buf));
    }
    folders
        .iter()
        .map(|folder| folder.join("libapertis.so"))
        .filter_map(|library| Some((modified(&library)?, library)))
        .max()
        .map_or_else(|| panic!("no libapertis.so in {folders:?}: run `cargo build`"), |(_, library)| library)
}

/// `NAME.c` and `NAME/*.c`, sorted by name.
fn programs(folder: &Path) -> Vec<(String, Vec<PathBuf>)> {
    let mut found: Vec<_> = files(folder)
        .into_iter()
        .filter_map(|path| {
            let name = path.file_stem()?.to_string_lossy().into_owned();
            let sources: Vec<_> = if path.is_dir() { files(&path) } else { vec![path] }
                .into_iter()
                .filter(|source| source.extension().is_some_and(|ending| ending == "c"))
                .collect();
            (!sources.is_empty()).then_some((name, sources))
        })
        .collect();
    found.sort();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[test]
fn stories() {
    let _turn = my_turn();
    let workshop = Workshop::open();
    let wanted = variable("APERTIS_STORY", "");
    let stories: VecDeque<_> = programs(&root().join("tests/c")).into_iter().filter(|(name, _)| name.contains(&wanted)).collect();
    assert!(!stories.is_empty(), "no story is called like {wanted:?}");
    let total = stories.len();
    let stories = Mutex::new(stories);
    let failures = Mutex::new(Vec::new());

    thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                // One gateway for each job: some stories read its counters.
                let gateway = Gateway::start();
                let next = || stories.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some((name, sources)) = next() {
                    let finished = workshop
                        .build(&name, &sources)
                        .and_then(|program| workshop.run(&name, &program, &[("APERTIS_TEST_BASE", gateway.base())]));
                    let told = match finished {
                        Ok(run) if run.good && run.output.lines().any(|line| line == format!("ok {name}")) => {
                            println!("  ok {name} ({:.2} s)", run.took.as_secs_f64());
                            continue;
                        }
                        Ok(run) => format!("{} after {:.2} s\n{}", run.verdict, run.took.as_secs_f64(), run.output),
                        Err(error) => error,
                    };
                    println!("FAIL {name}: {}", told.trim_end());
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}: {told}"));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} passed, {} failed", total - failures.len(), failures.len());
    assert!(failures.is_empty(), "{} of {total} stories failed:\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn examples_compile_and_the_plain_ones_run() {
    let _turn = my_turn();
    let workshop = Workshop::open();
    let gateway = Gateway::start();
    let with_key = [("APERTIS_API_KEY", "sk-test".to_owned()), ("APERTIS_API_BASE", gateway.base())];
    for (name, sources) in programs(&root().join("examples")) {
        let program = workshop.build(&name, &sources).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The others need a model that calls tools, keeps to a schema, or speaks another format.
        if ["one_shot", "streaming", "several_turns", "game_loop", "poll_loop", "image_question"].contains(&name.as_str()) {
            let run = workshop.run(&name, &program, &with_key).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(run.good && run.output.len() > 20, "{name}: {}\n{}", run.verdict, run.output);
        }
        let run = workshop.run(&name, &program, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let complaint = run.output.trim();
        assert_eq!(run.code, Some(1), "{name} without a key: {}\n{}", run.verdict, run.output);
        assert!(complaint.starts_with("apertis: APERTIS_ERROR_MISSING_API_KEY: "), "{name} without a key: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{name} without a key: {complaint}");
    }
}

#[test]
fn the_header_is_c_and_cpp() {
    let _turn = my_turn();
    let workshop = Workshop::open();
    let source = "#include <apertis.h>\n#include <apertis.h>\n\
                  uint32_t story(void);\nuint32_t story(void) { return apertis_version_number(); }\n";
    let cases = [
        ("CC", "cc", "c", "-std=c99"),
        ("CC", "cc", "c", "-std=c11"),
        ("CXX", "c++", "cpp", "-std=c++11"),
        ("CXX", "c++", "cpp", "-std=c++17"),
    ];
    for (compiler, default, ending, standard) in cases {
        let path = workshop.out.join(format!("header.{ending}"));
        fs::write(&path, source).expect("a file can be written");
        let output = Command::new(variable(compiler, default))
            .arg(standard)
            .args(
                ["-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wstrict-prototypes", "-Wundef", "-fsyntax-only"]
                    .iter()
                    .filter(|flag| ending == "c" || **flag != "-Wstrict-prototypes"),
            )
            .arg("-I")
            .arg(root().join("include"))
            .arg(&path)
            .output()
            .unwrap_or_else(|error| panic!("{default}: {error}"));
        assert!(output.status.success(), "{standard}:\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
