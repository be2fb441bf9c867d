//! Renders include/apertis.h from src/ffi into OUT_DIR, for `make header` and tests/header.rs, and sets what only the
//! linker knows: that the library stays mapped after dlclose and, for an installed one, its soname. Never writes to the
//! source tree.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The header's sections, in their order.
const SECTIONS: &[&str] = &[
    "version",
    "error",
    "config",
    "client",
    "request",
    "event",
    "stream",
    "queue",
    "response",
    "gateway",
    "process",
    "user_data",
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    render_header(&root);
    link_arguments();
}

fn render_header(root: &Path) {
    let ffi = root.join("src/ffi");
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml can be read");
    config.header = Some(fs::read_to_string(ffi.join("preface.h")).expect("the preface can be read").trim_end().to_owned());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for section in SECTIONS {
        builder = builder.with_src(ffi.join(section).with_extension("rs"));
    }
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("apertis.h");
    let mut text = Vec::new();
    builder.generate().expect("the header can be rendered").write(&mut text);
    // cbindgen has one switch for two types: where usize is size_t, isize is ptrdiff_t. A descriptor is neither's business.
    let text = String::from_utf8(text).expect("the header is text").replace("ptrdiff_t", "intptr_t");
    fs::write(header, text).expect("the header can be written");
}

fn link_arguments() {
    println!("cargo:rerun-if-env-changed=APERTIS_SONAME");
    // Only `make install` sets this: a library in target/ has no link of that name beside it, and a program that was linked
    // with it there would not start.
    let soname = env::var("APERTIS_SONAME").ok().filter(|name| !name.is_empty());
    match env::var("CARGO_CFG_TARGET_OS").unwrap_or_default().as_str() {
        "linux" | "android" | "freebsd" => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
            if let Some(name) = soname {
                println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{name}");
            }
        }
        "macos" | "ios" => {
            if let Some(name) = soname {
                println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/{name}");
            }
        }
        _ => {}
    }
}
