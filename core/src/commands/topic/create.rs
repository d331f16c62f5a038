//! `corelane topic create`.

use corelane_net::client::{ClientError, Cluster};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, Response,
};
use serde::Serialize;

use super::super::session::{self, Topic};
use super::super::{Error, print};
use crate::cli::topic::CreateOptions;

/// From this version on the broker's defaults can be asked for (KIP-464).
const DEFAULTS_VERSION: i16 = 4;

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    created: bool,
    partitions: usize,
}

pub(super) fn run(options: &CreateOptions) -> Result<(), Error> {
    let mut cluster = session::connect(&options.client, Default::default())?;
    let created = create(&mut cluster, options)?;
    let topic = wait_for_leaders(&mut cluster, &options.name)?;
    let partitions = topic.leaders.len();
    if options.client.json {
        return print::json(&Created { name: &options.name, created, partitions });
    }
    let outcome = if created { "created" } else { "exists already" };
    let plural = if partitions == 1 { "" } else { "s" };
    print::text(&format!("topic '{}' {outcome}: {partitions} partition{plural}", options.name))
}

/// True if it is new.
fn create(cluster: &mut Cluster, options: &CreateOptions) -> Result<bool, Error> {
    let timeout_ms = session::broker_timeout_ms(cluster);
    let what = format!("creating topic '{}'", options.name);
    let mut attempts = 0;
    let result = cluster.retry(|cluster| {
        attempts += 1;
        let connection = cluster.controller()?;
        let default =
            if connection.version(Api::CreateTopics)? >= DEFAULTS_VERSION { -1 } else { 1 };
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: Str::from(name.as_str()),
            value: Some(Str::from(value.as_str())),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: Str::from(options.name.as_str()),
                num_partitions: options.partitions.unwrap_or(default),
                replication_factor: options.replication_factor.unwrap_or(default as i16),
                configs: options.config.iter().map(config).collect(),
                ..Default::default()
            }],
            timeout_ms,
            ..Default::default()
        };
        let Response::CreateTopics(response) = connection.call(&request.into())? else {
            unreachable!("the API decides which response is decoded");
        };
        let result = response.topics.first();
        let result = result.ok_or_else(|| ClientError::Unanswered { what: what.clone() })?;
        match result.error_code {
            ErrorCode::None => Ok(true),
            // An attempt whose answer was lost may have made it.
            ErrorCode::TopicAlreadyExists if attempts > 1 => Ok(true),
            ErrorCode::NotController => {
                let error = ClientError::refused(&what, result.error_code, None);
                cluster.metadata(Some(&[]))?;
                Err(error)
            }
            code => Err(ClientError::refused(&what, code, result.error_message.as_deref())),
        }
    });
    match result {
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {
            match options.if_not_exists {
                true => Ok(false),
                false => Err(Error::Data(format!(
                    "topic '{}' exists already; --if-not-exists makes that no failure",
                    options.name
                ))),
            }
        }
        other => Ok(other?),
    }
}

/// Metadata may lag behind the controller, and leaders behind metadata.
fn wait_for_leaders(cluster: &mut Cluster, name: &str) -> Result<Topic, Error> {
    let attempt = |cluster: &mut Cluster| {
        let mut topic = match Topic::find(cluster, name) {
            Ok(topic) => topic,
            Err(Error::Client { source }) => return Err(source),
            Err(_) => {
                let code = ErrorCode::UnknownTopicOrPartition;
                return Err(ClientError::refused(
                    format!("looking for topic '{name}'"),
                    code,
                    None,
                ));
            }
        };
        let partitions: Vec<i32> = topic.leaders.keys().copied().collect();
        let query = session::OffsetQuery {
            timestamp: corelane_net::messages::LATEST_TIMESTAMP,
            read_committed: false,
        };
        session::offsets(cluster, &mut topic, &partitions, query)?;
        Ok(topic)
    };
    cluster.retry(attempt).map_err(|error| Error::Partial {
        source: Box::new(error.into()),
        done: format!("; topic '{name}' was created, but its partitions do not answer yet"),
    })
}
