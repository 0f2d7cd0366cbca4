//! The memory of the program, in which everything that was said stands as it was.

use std::io::{self, Write};

/// Keeps a crash from leaving the memory on a disk. To be called by every command that hears or says what people say.
pub(crate) fn never_dump() {
    if let Err(error) = switch_off() {
        // With stderr gone nobody reads it.
        let _ = writeln!(anstream::stderr(), "warning: a crash may leave what was said in a core dump: {error}");
    }
}

#[cfg(unix)]
fn switch_off() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // A program that this one starts may raise its own limit again.
    setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) })?;
    // Dumps that go to a program, such as that of systemd, have no limit.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(not(unix))]
const fn switch_off() -> io::Result<()> {
    Ok(())
}
