//! `--option`, `--list-options` and `--extension`: CometD's own options and extensions, by CometD's names for them.

use anyhow::anyhow;
use protocol::bayeux::dialect::{Activity, Dialect, Invalid};

use crate::exit::Failure;

/// Sets `NAME=VALUE`.
pub(super) fn set(dialect: &mut Dialect, option: &str) -> Result<(), Failure> {
    let Some((name, value)) = option.split_once('=') else {
        return Err(Failure::usage(anyhow!("`{option}` is not of the form NAME=VALUE")).hint("such as `timeout=5000`"));
    };
    dialect.set(name.trim(), value).map_err(|error| {
        let hint = match &error {
            Invalid::Unknown { .. } | Invalid::OtherGeneration { .. } | Invalid::NoEffect { .. } => {
                format!("`tapestry serve --profile {} --list-options` shows them all", dialect.name)
            }
            Invalid::Value { name, .. } => format!("in {} it is `{}`", dialect.name, default(dialect, name)),
        };
        Failure::usage(error).hint(hint)
    })
}

/// Installs an extension: `ack`, `timestamp`, `timesync`, or `activity=MILLISECONDS`.
pub(super) fn extend(dialect: &mut Dialect, extension: &str) -> Result<(), Failure> {
    let extensions = &mut dialect.options.extensions;
    match extension.split_once('=') {
        None if extension == "ack" => extensions.ack = true,
        None if extension == "timestamp" => extensions.timestamp = true,
        None if extension == "timesync" => extensions.timesync = true,
        Some(("activity", millis)) => {
            let max_inactivity_ms = millis.parse().map_err(|_| {
                Failure::usage(anyhow!("`activity` takes a number of milliseconds, not `{millis}`"))
                    .hint("such as `activity=60000`")
            })?;
            extensions.activity = Some(Activity { server_counts: false, max_inactivity_ms });
        }
        _ => {
            return Err(Failure::usage(anyhow!("there is no extension `{extension}`"))
                .hint("there are `ack`, `timestamp`, `timesync` and `activity=MILLISECONDS`"));
        }
    }
    Ok(())
}

fn default(dialect: &Dialect, name: &str) -> String {
    dialect.settings().find(|setting| setting.name == name).map(|setting| setting.value(dialect)).unwrap_or_default()
}

/// The table of the options of a profile: what each takes, its value, since when CometD has it, and what it does.
pub(super) fn list(dialect: &Dialect) -> String {
    let heads = ["option", "takes", "value", "since", "what it does"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(heads)
        .chain(dialect.settings().map(|setting| {
            let value = setting.value(dialect);
            let value = if value.is_empty() { "-".to_owned() } else { value };
            [setting.name.to_owned(), setting.kind.to_string(), value, setting.since(), setting.about.to_owned()]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |[name, takes, value, since, about]: &[String; 5]| {
        format!("{name:0$}  {takes:1$}  {value:2$}  {since:3$}  {about}\n", widths[0], widths[1], widths[2], widths[3])
    };
    rows.iter().map(line).collect()
}
