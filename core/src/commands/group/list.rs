//! `corelane group list`.

use serde::Serialize;

use super::super::{Error, print, session};
use super::ask::{self, Listed};
use crate::cli::group::ListOptions;

#[derive(Serialize)]
struct List<'a> {
    groups: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    group: &'a str,
    state: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    protocol_type: Option<&'a str>,
}

pub(super) fn run(options: &ListOptions) -> Result<(), Error> {
    let mut cluster = session::connect(&options.client, Default::default())?;
    let (listed, failures) = ask::list(&mut cluster)?;
    check_is_told(&listed, options)?;
    let has = |wanted: &[String], told: &Option<String>| {
        let is_same =
            |one: &String| told.as_ref().is_some_and(|told| told.eq_ignore_ascii_case(one));
        wanted.is_empty() || wanted.iter().any(is_same)
    };
    let is_wanted =
        |one: &&Listed| has(&options.state, &one.state) && has(&options.kind, &one.kind);
    let groups: Vec<Row<'_>> = listed.iter().filter(is_wanted).map(row).collect();
    match options.client.json {
        true => print::json(&List { groups })?,
        false => {
            let line = |row: &Row<'_>| {
                let fields = [row.state, row.kind, row.protocol_type].map(print::or_dash);
                std::iter::once(row.group.to_owned()).chain(fields).collect()
            };
            let lines: Vec<Vec<String>> = groups.iter().map(line).collect();
            print::rows(&["group", "state", "type", "protocol"], &lines)?;
        }
    }
    let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
    super::finish(&failures, true, String::new())
}

fn row(listed: &Listed) -> Row<'_> {
    Row {
        group: &listed.group,
        state: listed.state.as_deref(),
        kind: listed.kind.as_deref(),
        protocol_type: listed.protocol_type.as_deref(),
    }
}

/// What is not told can't be looked for.
fn check_is_told(listed: &[Listed], options: &ListOptions) -> Result<(), Error> {
    let untold = |option: &str, what: &str, api: &str| {
        let text = format!(
            "the broker does not tell the {what} of its groups ({api}); leave {option} out"
        );
        Err(Error::Data(text))
    };
    if !options.state.is_empty() && listed.iter().any(|one| one.state.is_none()) {
        return untold("--state", "states", "ListGroups 4");
    }
    if !options.kind.is_empty() && listed.iter().any(|one| one.kind.is_none()) {
        return untold("--type", "types", "ListGroups 5");
    }
    Ok(())
}
