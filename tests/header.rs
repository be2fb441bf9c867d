//! The header: it is what `build.rs` renders, it keeps the contract, its manual is complete, and the library exports
//! exactly what it declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn header() -> Declarations {
    Declarations::parse(&read(&root().join("include/apertis.h")))
}

/// What a header declares, in a form that can be compared: without comments, blanks and `struct` and `enum` tags.
#[derive(Default)]
struct Declarations {
    /// Name to declaration and comment.
    functions: BTreeMap<String, (String, String)>,
    /// Function types and opaque types: name to declaration.
    types: BTreeMap<String, String>,
    /// Name to constants and their values.
    enums: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Declarations {
    fn parse(header: &str) -> Self {
        let mut declarations = Self::default();
        let mut rest = without_preprocessor(header);
        let mut comment = String::new();
        loop {
            rest = rest.trim_start().to_owned();
            if rest.is_empty() {
                return declarations;
            }
            if let Some(inside) = rest.strip_prefix("/*") {
                let end = inside.find("*/").expect("a comment ends");
                comment = inside[..end].to_owned();
                rest = inside[end + 2..].to_owned();
                continue;
            }
            let end = end_of_declaration(&rest);
            declarations.add(&rest[..end], &comment);
            comment.clear();
            rest = rest[end + 1..].to_owned();
        }
    }

    fn add(&mut self, text: &str, comment: &str) {
        let text = without_comments(text);
        if let Some((head, constants)) = text.split_once('{') {
            let (constants, name) = constants.rsplit_once('}').expect("a list of constants ends");
            assert!(head.contains("enum"), "this header has no structs: {head}");
            self.enums.insert(name.trim().to_owned(), values(constants));
            return;
        }
        let words = normal(&text);
        if let Some(declaration) = words.strip_prefix("typedef ") {
            let name = match declaration.split_once("(*") {
                Some((_, function)) => function.split(')').next().unwrap_or_default(),
                None => declaration.rsplit(' ').next().unwrap_or_default(),
            };
            self.types.insert(name.to_owned(), declaration.to_owned());
        } else {
            let before = words.split('(').next().unwrap_or_default();
            let name = before.rsplit([' ', '*']).next().unwrap_or_default();
            let earlier = self.functions.insert(name.to_owned(), (words.clone(), comment.to_owned()));
            assert!(earlier.is_none(), "{name} is declared twice");
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.functions.keys().map(String::as_str).collect()
    }
}

fn without_preprocessor(header: &str) -> String {
    let mut kept = String::new();
    for line in header.lines() {
        let line = line.trim_end();
        let bare = line.split("//").next().unwrap_or_default().trim();
        if !(line.starts_with('#') || bare == "extern \"C\" {" || bare == "}") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Where the `;` is that ends what `text` begins with.
fn end_of_declaration(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'/' if text[at..].starts_with("/*") => at += text[at..].find("*/").expect("a comment ends") + 1,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    panic!("no ';' behind: {text}");
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    kept + rest
}

/// One blank between words, none beside anything else; tags left out.
fn normal(text: &str) -> String {
    let mut spaced = String::new();
    for character in text.chars() {
        if character.is_alphanumeric() || character == '_' || character.is_whitespace() {
            spaced.push(character);
        } else {
            spaced.extend([' ', character, ' ']);
        }
    }
    let mut words = String::new();
    for word in spaced.split_whitespace().filter(|word| !["struct", "enum"].contains(word)) {
        let both_are_words = |a: char, b: char| (a.is_alphanumeric() || a == '_') && (b.is_alphanumeric() || b == '_');
        if words.chars().last().zip(word.chars().next()).is_some_and(|(a, b)| both_are_words(a, b)) {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

fn values(constants: &str) -> BTreeMap<String, i64> {
    let mut next = 0;
    constants
        .split(',')
        .map(str::trim)
        .filter(|constant| !constant.is_empty())
        .map(|constant| {
            let (name, value) = constant.split_once('=').map_or((constant, None), |(name, value)| (name, Some(value)));
            if let Some(value) = value {
                next = value.trim().parse().unwrap_or_else(|_| panic!("{constant}: not a number"));
            }
            next += 1;
            (name.trim().to_owned(), next - 1)
        })
        .collect()
}

#[test]
fn the_committed_header_is_the_one_that_the_sources_give() {
    let rendered = read(&Path::new(env!("OUT_DIR")).join("apertis.h"));
    let committed = read(&root().join("include/apertis.h"));
    let difference = rendered.lines().zip(committed.lines()).position(|(a, b)| a != b);
    assert!(
        rendered == committed,
        "include/apertis.h is not what src/ffi gives (first in line {}): run `make header` and commit the result",
        difference.unwrap_or_else(|| rendered.lines().count().min(committed.lines().count())) + 1,
    );
}

#[test]
fn every_function_says_where_it_may_be_called_and_whether_it_waits() {
    let header = header();
    let errors = &header.enums["apertis_status"];
    let mut lacking = Vec::new();
    for (name, (declaration, comment)) in &header.functions {
        let mut lack = |what: String| lacking.push(format!("{name}: {what}"));
        let comment: Vec<_> = comment.lines().map(|line| line.trim().trim_start_matches('*').trim()).collect();
        let last = comment.iter().rev().find(|line| !line.is_empty()).copied().unwrap_or_default();
        if !(last.starts_with("Threads: ") && last.contains(". From callbacks: ") && last.contains(". Blocks: ")) {
            lack("its last line is not \"Threads: ... From callbacks: ... Blocks: ...\"".into());
        }
        let first = comment.iter().find(|line| !line.is_empty() && !line.starts_with("----")).copied();
        if first.is_none_or(|line| line.starts_with("Threads:") || line.starts_with("Errors:")) {
            lack("no sentence says what it does".into());
        }
        if declaration.starts_with("apertis_status ") {
            let from = comment.iter().position(|line| line.starts_with("Errors: "));
            let text = from.map(|from| comment[from..].join(" ")).unwrap_or_default();
            let names_one = text
                .split(|c: char| !c.is_ascii_uppercase() && c != '_' && !c.is_ascii_digit())
                .any(|word| errors.contains_key(word) || errors.contains_key(&format!("APERTIS_ERROR_{word}")));
            if !(names_one || text.starts_with("Errors: all;")) {
                lack("no \"Errors:\" that names one".into());
            }
        }
    }
    assert!(lacking.is_empty(), "the manual lacks:\n  {}", lacking.join("\n  "));
}

/// Compares what the header declares with a contract.
fn keeps(contract: &Declarations, header: &Declarations) -> Vec<String> {
    let mut broken = Vec::new();
    let mut compare = |name: &String, wanted: &str, found: Option<&str>| match found {
        None => broken.push(format!("{name} is missing")),
        Some(found) => {
            if found != wanted {
                broken.push(format!("{name} is not the same:\n    {wanted}\n    {found}"));
            }
        }
    };
    for (name, (wanted, _)) in &contract.functions {
        compare(name, wanted, header.functions.get(name).map(|(found, _)| found.as_str()));
    }
    for (name, wanted) in &contract.types {
        compare(name, wanted, header.types.get(name).map(String::as_str));
    }
    for (name, wanted) in &contract.enums {
        let found = header.enums.get(name);
        for (constant, value) in wanted {
            let wanted = value.to_string();
            match found.map(|found| found.get(constant)) {
                None => compare(name, &wanted, None),
                Some(found) => compare(constant, &wanted, found.map(i64::to_string).as_deref()),
            }
        }
    }
    broken
}

#[test]
fn the_header_keeps_the_contract() {
    let header = header();
    let mut contracts = vec![root().join("tests/abi/contract.h")];
    contracts.extend([root().join("../shared/design/apertis.h")].into_iter().filter(|path| path.exists()));
    for path in contracts {
        let contract = Declarations::parse(&read(&path));
        assert!(contract.functions.len() > 100 && contract.enums.len() > 10, "{} is no contract", path.display());
        let broken = keeps(&contract, &header);
        assert!(broken.is_empty(), "{}:\n  {}", path.display(), broken.join("\n  "));
    }
}

#[test]
fn a_broken_contract_is_noticed() {
    let contract = |text: &str| Declarations::parse(text);
    let header = "typedef enum apertis_role { A = 1, B } apertis_role;\n typedef struct apertis_config apertis_config;\n\
                  /** Does. */ enum apertis_status apertis_a(struct apertis_config *config, const char *key);";
    let declared = contract(header);
    assert!(keeps(&contract(&header.replace("enum apertis_status", "apertis_status")), &declared).is_empty());
    for (from, to) in [("*key", "*name"), ("const ", ""), ("B }", "B = 3 }"), ("B }", "B, C }"), ("apertis_a(", "apertis_b(")] {
        assert_eq!(keeps(&contract(&header.replace(from, to)), &declared).len(), 1, "{from} -> {to}");
    }
}

/// `tests/abi/symbols.txt`: a function in each line, and the version that it came with.
fn symbols() -> BTreeMap<String, String> {
    let list = read(&root().join("tests/abi/symbols.txt"));
    let lines: Vec<_> = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(lines.is_sorted(), "tests/abi/symbols.txt is not sorted");
    lines
        .into_iter()
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("no version behind {line}")))
        .map(|(name, since)| (name.to_owned(), since.to_owned()))
        .collect()
}

/// Fails with both directions of a difference.
fn same_names(what: &str, found: &BTreeSet<&str>, wanted: &BTreeSet<&str>) {
    let lines = |left: &BTreeSet<&str>, right: &BTreeSet<&str>| left.difference(right).copied().collect::<Vec<_>>().join(" ");
    assert!(
        found == wanted,
        "{what} and tests/abi/symbols.txt differ.\n  not in the list: {}\n  only in the list: {}",
        lines(found, wanted),
        lines(wanted, found)
    );
}

#[test]
fn the_list_of_symbols_is_the_header() {
    let symbols = symbols();
    let header = header();
    same_names("include/apertis.h", &header.names(), &symbols.keys().map(String::as_str).collect());
    let version = |text: &str| -> Vec<u32> {
        text.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("{text} is no version"))).collect()
    };
    for (name, since) in &symbols {
        assert!(version(since) <= version(env!("CARGO_PKG_VERSION")), "{name} came with {since}, which is not out yet");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_library_exports_the_list_of_symbols_and_nothing_else() {
    // Cargo leaves the library beside this test or one folder up.
    let this = std::env::current_exe().expect("a test knows where it is");
    let library = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("libapertis.so"))
        .filter_map(|path| Some((fs::metadata(&path).and_then(|data| data.modified()).ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .expect("the library lies beside its tests");
    let output = std::process::Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library)
        .output()
        .expect("nm, of the package binutils, can be run");
    assert!(output.status.success(), "nm {}: {}", library.display(), String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8_lossy(&output.stdout);
    let exported = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let symbols = symbols();
    same_names(&library.display().to_string(), &exported, &symbols.keys().map(String::as_str).collect());
}
