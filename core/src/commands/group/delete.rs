//! `corelane group delete`.

use corelane_net::client::{ClientError, Cluster, Connection, Outcomes};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{DeleteGroupsRequest, Response};
use serde::Serialize;

use super::super::{Error, confirm, print, session};
use super::ask;
use crate::cli::group::DeleteOptions;

#[derive(Serialize)]
struct Deleted {
    deleted: Vec<String>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    group: String,
    error: String,
}

pub(super) fn run(options: &DeleteOptions) -> Result<(), Error> {
    confirm::check_can_ask(options.yes, "groups are not deleted")?;
    let mut cluster = session::connect(&options.client, Default::default())?;
    let (names, untold) = ask::names(&mut cluster, &options.which)?;
    if !names.is_empty() && !options.yes && !confirm::is_confirmed(&question(&names))? {
        return Err(Error::Data("nothing was deleted".to_owned()));
    }
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for (name, outcome) in delete(&mut cluster, &names)? {
        match outcome {
            Ok(()) => deleted.push(name.to_string()),
            Err(error) => {
                let error = explain(&mut cluster, &name, error).to_string();
                failed.push(Failed { group: name.to_string(), error });
            }
        }
    }
    let untold = untold.iter().map(ToString::to_string);
    let failures: Vec<String> =
        failed.iter().map(|failed| failed.error.clone()).chain(untold).collect();
    let done = format!("\ncorelane: {} of {} groups deleted", deleted.len(), names.len());
    let is_partial = !deleted.is_empty();
    match options.client.json {
        true => print::json(&Deleted { deleted, failed })?,
        false => {
            deleted.iter().try_for_each(|name| print::text(&format!("group '{name}' deleted")))?
        }
    }
    super::finish(&failures, is_partial, done)
}

fn question(names: &[Str]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let (noun, pronoun) = if names.len() == 1 { ("group", "it") } else { ("groups", "they") };
    let quoted = confirm::quoted(&names);
    format!("Delete {noun} {quoted} and the offsets that {pronoun} committed?")
}

fn delete(cluster: &mut Cluster, names: &[Str]) -> Result<Outcomes<()>, ClientError> {
    let mut attempts = 0;
    cluster.ask_coordinators(names, |connection, names| {
        attempts += 1;
        delete_once(connection, names, attempts > 1)
    })
}

fn delete_once(
    connection: &mut Connection,
    names: &[Str],
    is_repeated: bool,
) -> Result<Outcomes<()>, ClientError> {
    let request = DeleteGroupsRequest { groups_names: names.to_vec() };
    let Response::DeleteGroups(response) = connection.call(&request.into())? else {
        unreachable!("the API decides which response is decoded");
    };
    let outcomes = response.results.into_iter().map(|result| {
        let name = result.group_id.detached();
        let outcome = match result.error_code {
            ErrorCode::None => Ok(()),
            // An attempt whose answer was lost may have deleted it.
            ErrorCode::GroupIdNotFound if is_repeated => Ok(()),
            code => {
                let what = format!("deleting group '{name}'");
                Err(ClientError::refused(what, code, result.error_message.as_deref()))
            }
        };
        (name, outcome)
    });
    Ok(outcomes.collect())
}

/// Says who is in, and which name may have been meant.
fn explain(cluster: &mut Cluster, name: &Str, error: ClientError) -> Error {
    let code = error.code();
    match code {
        Some(ErrorCode::GroupIdNotFound | ErrorCode::NonEmptyGroup) => {}
        _ => return error.into(),
    }
    let Ok(mut found) = ask::describe(cluster, std::slice::from_ref(name)) else {
        return error.into();
    };
    match (code, found.groups.pop(), found.failures.pop()) {
        (Some(ErrorCode::NonEmptyGroup), Some(group), _) => Error::Data(format!(
            "group '{name}' {}: only a group without members can be deleted",
            group.who_is_in()
        )),
        (Some(ErrorCode::GroupIdNotFound), None, Some(no_group)) => no_group,
        _ => error.into(),
    }
}
