//! `rosterd sandbox --feed FILE`: the people of a file as an HR feed on this machine.

use super::output::say;
use crate::sandbox::{FeedSettings, PracticeFeed};
use anyhow::{Context, anyhow};
use serde_json::Value;
use std::{net::SocketAddr, path::Path};

/// Serves the file on a port of its own beside that of the targets.
pub(super) async fn serve(
    file: &Path,
    beside: SocketAddr,
    token: Option<String>,
) -> anyhow::Result<PracticeFeed> {
    let failed = || format!("failed to read people from {}", file.display());
    let people = people(file).with_context(failed)?;
    let count = people.len();
    let settings = FeedSettings { people, token, ..FeedSettings::default() };
    let feed = PracticeFeed::start(SocketAddr::new(beside.ip(), 0), settings).await;
    let feed = feed.context("failed to serve a feed")?;
    say(&format!("a feed of {count} people, `records = \"$.data[*]\"` and `total = \"$.total\"`:"));
    for (name, paging) in [
        ("all", "without `paging`, and 304 while nothing has changed"),
        ("link", "`style = \"link\"`"),
        ("next", "`style = \"next\"`, `next = \"$.next\"`"),
        ("cursor", "`style = \"cursor\"`, `cursor = \"$.cursor\"`, `parameter = \"cursor\"`"),
        ("page", "`style = \"page\"`, `parameter = \"page\"`"),
        ("offset", "`style = \"offset\"`, `parameter = \"offset\"`"),
    ] {
        say(&format!("  {}: {paging}", feed.url(name)));
    }
    Ok(feed)
}

/// Rows of a CSV file, lines of JSON, a list, or the one list in an object.
fn people(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file)?;
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => rows(&text),
        Some("jsonl") => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
        }
        _ => list(serde_json::from_str(&text)?),
    }
}

fn rows(text: &str) -> anyhow::Result<Vec<Value>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers()?.clone();
    let person = |record: csv::StringRecord| {
        let members = names.iter().zip(record.iter());
        // A cell that looks like a number stays a text: an id may begin with 0.
        let members = members.map(|(name, cell)| (name.to_owned(), Value::from(cell)));
        Value::Object(members.collect())
    };
    Ok(reader.into_records().map(|record| record.map(person)).collect::<Result<_, _>>()?)
}

fn list(document: Value) -> anyhow::Result<Vec<Value>> {
    match document {
        Value::Array(people) => Ok(people),
        Value::Object(members) => {
            let mut lists = members.into_iter().filter_map(|(_, member)| match member {
                Value::Array(people) => Some(people),
                _ => None,
            });
            match (lists.next(), lists.next()) {
                (Some(people), None) => Ok(people),
                _ => Err(anyhow!("the document should be a list, or hold exactly one")),
            }
        }
        _ => Err(anyhow!("the document should be a list, or hold one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_people_of_any_file_are_elements_of_the_feed() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            people(&path).ok()
        };
        let expected = Some(vec![json!({ "id": "007", "name": "Zoë" })]);
        assert_eq!(read("a.csv", "id,name\n007,Zoë\n"), expected);
        assert_eq!(read("a.jsonl", "{\"id\":\"007\",\"name\":\"Zoë\"}\n\n"), expected);
        assert_eq!(read("a.json", r#"[{"id":"007","name":"Zoë"}]"#), expected);
        assert_eq!(read("b.json", r#"{"n":1,"data":[{"id":"007","name":"Zoë"}]}"#), expected);
        assert_eq!(read("c.json", r#"{"a":[],"b":[]}"#), None);
        assert_eq!(read("d.json", "7"), None);
    }
}
