//! File descriptors: a proxy needs two for each client, and the usual limit of 1 024 is soft.

/// Raises the soft limit of open files to the hard one. Where that fails the old limit stays, and whoever runs into it says so.
#[cfg(unix)]
pub(crate) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// There is no such limit.
#[cfg(not(unix))]
pub(crate) const fn raise() {}
