//! Stamps the commit and the target into the binary, as OTLET_COMMIT and OTLET_TARGET.
//!
//! The version is Cargo's own CARGO_PKG_VERSION. Without git, or outside a checkout, the commit is
//! `unknown` and a warning says why; where the sources are copied without their repository (a
//! container build), the build's environment may give OTLET_COMMIT. No network, no dependency.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=OTLET_COMMIT");
    let given = env::var("OTLET_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.map_or_else(commit, Ok).unwrap_or_else(|why| {
        println!("cargo:warning=commit unknown: {why}");
        String::from("unknown")
    });
    println!("cargo:rustc-env=OTLET_COMMIT={commit}");
    println!("cargo:rustc-env=OTLET_TARGET={}", env::var("TARGET").unwrap_or_default());
}

/// The checked-out commit; also tells Cargo what changes when the commit does.
fn commit() -> Result<String, String> {
    // Sources unpacked inside somebody else's repository are not at its top.
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return Err(String::from("the sources are not the top of a git checkout"));
    }
    watch("HEAD");
    // The reflog grows with every commit, reset and checkout. Where it is switched off, watch what
    // the branch is stored in: its own file or, once packed, the common one.
    if !watch("logs/HEAD") {
        if let Ok(branch) = git(&["symbolic-ref", "HEAD"]) {
            watch(&branch);
        }
        watch("packed-refs");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// Watches a file of the repository, if it exists: Cargo takes a missing one as always changed.
fn watch(name: &str) -> bool {
    let path = git(&["rev-parse", "--git-path", name]).unwrap_or_default();
    let exists = !path.is_empty() && Path::new(&path).exists();
    if exists {
        println!("cargo:rerun-if-changed={path}");
    }
    exists
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(arguments).output().map_err(|e| format!("git: {e}"))?;
    if !output.status.success() {
        return Err(format!("git: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
