//! `corelane topic delete`.

use std::collections::BTreeMap;

use corelane_net::client::{ClientError, Cluster};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{DeleteTopicState, DeleteTopicsRequest, Response};
use serde::Serialize;

use super::super::{Error, confirm, print, session};
use crate::cli::topic::DeleteOptions;

#[derive(Serialize)]
struct Deleted<'a> {
    deleted: Vec<&'a str>,
    failed: Vec<Failed<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    name: &'a str,
    error: String,
}

pub(super) fn run(options: &DeleteOptions) -> Result<(), Error> {
    confirm::check_can_ask(options.yes, "topics are not deleted")?;
    let mut cluster = session::connect(&options.client, Default::default())?;
    let mut names = options.names.clone();
    names.sort();
    names.dedup();
    if !options.yes && !confirm::is_confirmed(&question(&names))? {
        return Err(Error::Data("nothing was deleted".to_owned()));
    }
    let outcomes = delete(&mut cluster, &names)?;
    let (deleted, failed): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(_, o)| o.is_ok());
    let deleted: Vec<&str> = deleted.into_iter().map(|(name, _)| name.as_str()).collect();
    let failed: Vec<Failed<'_>> = failed
        .into_iter()
        .filter_map(|(name, outcome)| {
            Some(Failed { name, error: outcome.as_ref().err()?.to_string() })
        })
        .collect();
    if !options.client.json {
        deleted.iter().try_for_each(|name| print::text(&format!("topic '{name}' deleted")))?;
    }
    let words = failed.iter().map(|failed| failed.error.clone()).collect::<Vec<_>>();
    let (count, is_partial) = (deleted.len(), !deleted.is_empty());
    if options.client.json {
        print::json(&Deleted { deleted, failed })?;
    }
    match words.is_empty() {
        true => Ok(()),
        false if is_partial => Err(Error::Partial {
            source: Box::new(Error::Several(words.join("\ncorelane: "))),
            done: format!("\ncorelane: {count} of {} topics deleted", names.len()),
        }),
        false => Err(Error::Several(words.join("\ncorelane: "))),
    }
}

fn question(names: &[String]) -> String {
    let (noun, pronoun) = if names.len() == 1 { ("topic", "it") } else { ("topics", "them") };
    format!("Delete {noun} {} and all that is in {pronoun}?", confirm::quoted(names))
}

/// What became of each.
fn delete(
    cluster: &mut Cluster,
    names: &[String],
) -> Result<BTreeMap<String, Result<(), Error>>, Error> {
    let mut outcomes = BTreeMap::new();
    let mut left: Vec<String> = names.to_vec();
    let mut attempts = 0;
    let tried = cluster.retry(|cluster| {
        attempts += 1;
        let mut again = None;
        for (name, code, message) in ask(cluster, &left)? {
            left.retain(|other| *other != name);
            let what = format!("deleting topic '{name}'");
            let outcome = match code {
                ErrorCode::None => Ok(()),
                // An attempt whose answer was lost may have deleted it.
                ErrorCode::UnknownTopicOrPartition if attempts > 1 => Ok(()),
                ErrorCode::UnknownTopicOrPartition => Err(session::no_topic(cluster, &name)),
                ErrorCode::NotController | ErrorCode::ThrottlingQuotaExceeded => {
                    left.push(name);
                    again = Some(ClientError::refused(what, code, message.as_deref()));
                    continue;
                }
                code => Err(ClientError::refused(what, code, message.as_deref()).into()),
            };
            outcomes.insert(name, outcome);
        }
        match again {
            None => Ok(()),
            Some(error) => {
                cluster.metadata(Some(&[]))?;
                Err(error)
            }
        }
    });
    match tried {
        Err(error) if outcomes.is_empty() => return Err(error.into()),
        Err(error) => {
            let text = error.to_string();
            for name in &left {
                let error = Error::Data(format!("deleting topic '{name}': {text}"));
                outcomes.insert(name.clone(), Err(error));
            }
        }
        Ok(()) => {
            for name in left {
                let what = format!("deleting topic '{name}'");
                outcomes.insert(name, Err(ClientError::Unanswered { what }.into()));
            }
        }
    }
    Ok(outcomes)
}

fn ask(
    cluster: &mut Cluster,
    names: &[String],
) -> Result<Vec<(String, ErrorCode, Option<String>)>, ClientError> {
    let texts: Vec<Str> = names.iter().map(|name| Str::from(name.as_str())).collect();
    let state = |name: &Str| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: texts.iter().map(state).collect(),
        timeout_ms: session::broker_timeout_ms(cluster),
        topic_names: texts,
    };
    let Response::DeleteTopics(response) = cluster.controller()?.call(&request.into())? else {
        unreachable!("the API decides which response is decoded");
    };
    let answer = |result: corelane_net::messages::DeletableTopicResult| {
        let message = result.error_message.map(|message| message.to_string());
        Some((result.name?.to_string(), result.error_code, message))
    };
    Ok(response.responses.into_iter().filter_map(answer).collect())
}
