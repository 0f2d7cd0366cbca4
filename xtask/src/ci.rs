//! `cargo xtask ci`: everything that must be green before a commit.

use xshell::{Shell, cmd};

use crate::{Outcome, tidy};

/// `tested` says that the tests have run already.
pub(crate) fn run(shell: &Shell, tested: bool) -> Outcome {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    if !tested {
        // A snapshot that differs must fail, not leave a pending file behind.
        let _update = shell.push_env("INSTA_UPDATE", "no");
        cmd!(shell, "cargo test --workspace --locked").run()?;
    }
    {
        let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
        cmd!(shell, "cargo doc --workspace --no-deps --document-private-items --locked").run()?;
    }
    tidy::run(shell)
}
