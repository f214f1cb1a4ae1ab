//! The environment of a browser.

use std::ffi::OsString;
use std::path::Path;

/// Nothing of our own environment is passed on: it may hold secrets.
pub(crate) fn environment(home: &Path, temporary: &Path) -> Vec<(&'static str, OsString)> {
    vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("LANG", "C.UTF-8".into()),
        ("HOME", home.into()),
        ("TMPDIR", temporary.into()),
        ("XDG_CONFIG_HOME", home.into()),
        ("XDG_CACHE_HOME", home.into()),
        ("XDG_DATA_HOME", home.into()),
        ("XDG_RUNTIME_DIR", home.into()),
        // The host's buses are none of a browser's business.
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent".into()),
        ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent".into()),
    ]
}
