//! Changes a file of expectations and leaves alone what somebody wrote beside them: comments, order, blank lines.

use anyhow::{Context, anyhow};
use toml_edit::{ArrayOfTables, Decor, DocumentMut, Item, Table, value};

/// The array of the file.
const ARRAY: &str = "expectation";

/// The keys of an entry, in the order in which they are written.
const KEYS: [&str; 7] = ["case", "transport", "verdict", "where", "reason", "owner", "until"];

/// One new entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) case: String,
    pub(super) transport: Option<String>,
    pub(super) verdict: String,
    pub(super) requirement: String,
    pub(super) reason: String,
    pub(super) owner: String,
    pub(super) until: String,
}

/// One change. Places are those of the file before any change, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Adds an entry at the end.
    Add(Entry),
    /// Takes one out, with the comment right above it.
    Remove { place: usize },
    /// Keeps one for some transports alone.
    Narrow { place: usize, transports: Vec<String> },
    /// Gives one another last day.
    Renew { place: usize, until: String },
}

impl Entry {
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.insert("case", value(&self.case));
        if let Some(transport) = &self.transport {
            table.insert("transport", value(transport));
        }
        for (key, text) in [
            ("verdict", &self.verdict),
            ("where", &self.requirement),
            ("reason", &self.reason),
            ("owner", &self.owner),
            ("until", &self.until),
        ] {
            table.insert(key, value(text));
        }
        table
    }
}

/// The text of a file after some changes.
pub(super) fn apply(text: &str, edits: &[Edit]) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse().context("it is no TOML")?;
    let kept = match document.remove(ARRAY) {
        None => ArrayOfTables::new(),
        Some(item) => item.into_array_of_tables().map_err(|_| anyhow!("`{ARRAY}` is no list of tables"))?,
    };
    // Of each entry what becomes of it: none, one, or one for each transport.
    let mut entries: Vec<Vec<Table>> = kept.into_iter().map(|table| vec![table]).collect();
    for edit in edits {
        match edit {
            Edit::Add(entry) => entries.push(vec![entry.table()]),
            Edit::Renew { place, until } => {
                entries.get_mut(*place).into_iter().flatten().for_each(|table| set(table, "until", until));
            }
            Edit::Narrow { place, transports } => {
                if let Some(tables) = entries.get_mut(*place)
                    && let Some(table) = tables.first().cloned()
                {
                    *tables = transports.iter().map(|transport| narrowed(&table, transport)).collect();
                    tables.iter_mut().skip(1).for_each(|table| *table.decor_mut() = Decor::default());
                }
            }
            Edit::Remove { place } => {
                let removed = entries.get_mut(*place).map(std::mem::take).into_iter().flatten().next();
                let above = removed.as_ref().and_then(|table| table.decor().prefix()?.as_str()).unwrap_or_default();
                if let Some(left) = hand_down(&mut entries, *place, apart(above)) {
                    let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
                    document.set_trailing(left + &trailing);
                }
            }
        }
    }
    let mut array = ArrayOfTables::new();
    for (place, mut table) in entries.into_iter().flatten().enumerate() {
        // Where it stood before does not count any more.
        table.set_position(None);
        if table.decor().prefix().is_none() {
            table.decor_mut().set_prefix(if place == 0 { "" } else { "\n" });
        }
        array.push(table);
    }
    if !array.is_empty() {
        document.insert(ARRAY, Item::ArrayOfTables(array));
    }
    Ok(document.to_string())
}

/// Gives what stood above an entry to the next one that is left; gives it back if there is none.
fn hand_down(entries: &mut [Vec<Table>], place: usize, above: String) -> Option<String> {
    let Some(table) = entries.iter_mut().skip(place).flatten().next() else { return Some(above) };
    if !above.is_empty() {
        let own = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or("\n").to_owned();
        table.decor_mut().set_prefix(above + &own);
    }
    None
}

/// Of what stands above an entry that which a blank line sets apart from it: it is about more than the entry.
fn apart(above: &str) -> String {
    match above.trim_end_matches('\n').rfind("\n\n") {
        Some(end) => above[..=end].to_owned(),
        None if above.ends_with("\n\n") => above.trim_end_matches('\n').to_owned() + "\n",
        None => String::new(),
    }
}

fn narrowed(table: &Table, transport: &str) -> Table {
    let mut table = table.clone();
    set(&mut table, "transport", transport);
    let place = |key: &str| KEYS.iter().position(|known| *known == key).unwrap_or(KEYS.len());
    table.sort_values_by(|one, _, other, _| place(one.get()).cmp(&place(other.get())));
    table
}

/// Sets a text, and leaves the comment behind it.
fn set(table: &mut Table, key: &str, text: &str) {
    let decor = table.get(key).and_then(|item| item.as_value()).map(|old| old.decor().clone());
    let mut item = value(text);
    if let (Some(decor), Some(new)) = (decor, item.as_value_mut()) {
        *new.decor_mut() = decor;
    }
    match table.get_mut(key) {
        Some(old) => *old = item,
        None => drop(table.insert(key, item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# What is known of UAT.\n\n# The upgrade of March mends it.\n[[expectation]]\ncase = \"a\"   # one\n\
        verdict = \"fail\"\nuntil = \"2026-01-01\" # when it is done\n\n# Second.\n[[expectation]]\nverdict = \"fail\"\n\
        case = \"b\"\nuntil = \"2026-02-02\"\n\n# The end.\n";

    fn entry() -> Entry {
        Entry {
            case: "c".to_owned(),
            transport: None,
            verdict: "deviation".to_owned(),
            requirement: "BX-HS-12".to_owned(),
            reason: "says \"no\"".to_owned(),
            owner: "me".to_owned(),
            until: "2026-12-31".to_owned(),
        }
    }

    #[test]
    fn changes_nothing_else() {
        assert_eq!(apply(FILE, &[]).unwrap(), FILE);
    }

    #[test]
    fn adds_at_the_end() {
        let text = apply(FILE, &[Edit::Add(entry())]).unwrap();
        let end = "\n[[expectation]]\ncase = \"c\"\nverdict = \"deviation\"\nwhere = \"BX-HS-12\"\nreason = 'says \"no\"'\n\
                   owner = \"me\"\nuntil = \"2026-12-31\"\n\n# The end.\n";
        assert_eq!(text, FILE.replace("\n# The end.\n", end));
    }

    #[test]
    fn begins_a_new_file() {
        let text = apply("", &[Edit::Add(entry()), Edit::Add(entry())]).unwrap();
        assert!(text.starts_with("[[expectation]]\ncase = \"c\"\n"), "{text}");
        assert!(text.contains("until = \"2026-12-31\"\n\n[[expectation]]\n"), "{text}");
    }

    #[test]
    fn takes_one_out_with_its_comment_and_leaves_the_head_of_the_file() {
        let text = apply(FILE, &[Edit::Remove { place: 0 }]).unwrap();
        let rest = "# What is known of UAT.\n\n# Second.\n[[expectation]]\nverdict = \"fail\"\n\
                    case = \"b\"\nuntil = \"2026-02-02\"\n\n# The end.\n";
        assert_eq!(text, rest);
        let text = apply(FILE, &[Edit::Remove { place: 0 }, Edit::Remove { place: 1 }]).unwrap();
        assert!(!text.contains("[["), "{text}");
        assert!(text.starts_with("# What is known of UAT.\n") && text.ends_with("\n# The end.\n"), "{text}");
    }

    #[test]
    fn keeps_one_for_a_transport_and_what_stands_beside_it() {
        let edit = Edit::Narrow { place: 1, transports: vec!["websocket".to_owned()] };
        let text = apply(FILE, &[edit]).unwrap();
        let narrowed = "# Second.\n[[expectation]]\ncase = \"b\"\ntransport = \"websocket\"\nverdict = \"fail\"\n";
        assert!(text.contains(narrowed), "{text}");
        let edit = Edit::Narrow { place: 1, transports: vec!["websocket".to_owned(), "long-polling".to_owned()] };
        let text = apply(FILE, &[edit]).unwrap();
        assert_eq!(text.matches("case = \"b\"").count(), 2, "{text}");
        assert_eq!(text.matches("# Second.").count(), 1, "{text}");
    }

    #[test]
    fn gives_another_day_and_leaves_the_comment_behind_it() {
        let text = apply(FILE, &[Edit::Renew { place: 0, until: "2027-07-07".to_owned() }]).unwrap();
        assert_eq!(text, FILE.replace("2026-01-01", "2027-07-07"));
    }

    #[test]
    fn what_is_no_list_of_tables_is_refused() {
        for text in ["expectation = 3\n", "[[expectation]\n"] {
            assert!(apply(text, &[]).is_err(), "{text}");
        }
    }
}
