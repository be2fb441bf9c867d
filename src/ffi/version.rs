//! Version.

use std::ffi::c_char;

/// The version of this header as 0xMMmmpp: compare with apertis_version_number() to see whether header and library
/// belong together.
pub const APERTIS_VERSION_NUMBER: u32 = 0x000100;

/// ---- Version -------------------------------------------------------------------------------------------------------
///
/// The library's version as 0xMMmmpp; equals APERTIS_VERSION_NUMBER where header and library belong together.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub extern "C" fn apertis_version_number() -> u32 {
    APERTIS_VERSION_NUMBER
}

/// The library's version as text, "0.1.0". Static: never freed.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub extern "C" fn apertis_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_packages_version() {
        let part = |text: &str| text.parse::<u32>().unwrap();
        let number = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
            | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
            | part(env!("CARGO_PKG_VERSION_PATCH"));
        assert_eq!(apertis_version_number(), number);
    }
}
