//! `corelane topic alter`.

use corelane_net::client::{ClientError, Cluster};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    CreatePartitionsRequest, CreatePartitionsTopic, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource, IncrementalAlterableConfig, Response, config_operation,
    config_resource_type,
};
use serde::Serialize;

use super::super::session::{self, Topic};
use super::super::{Error, print};
use crate::cli::topic::AlterOptions;

#[derive(Serialize)]
struct Altered<'a> {
    name: &'a str,
    partitions: usize,
    configs_set: Vec<&'a str>,
    configs_deleted: &'a [String],
}

pub(super) fn run(options: &AlterOptions) -> Result<(), Error> {
    let mut cluster = session::connect(&options.client, Default::default())?;
    let topic = Topic::find(&mut cluster, &options.name)?;
    let before = topic.leaders.len();
    let partitions = options.partitions.map_or(before, |count| count as usize);
    if partitions < before {
        return Err(Error::Data(format!(
            "topic '{}' has {before} partitions; their number can't be lowered to {partitions}",
            options.name
        )));
    }
    let changes_configs = !options.config.is_empty() || !options.delete_config.is_empty();
    if changes_configs {
        alter_configs(&mut cluster, options)?;
    }
    if partitions > before {
        create_partitions(&mut cluster, options, partitions).map_err(
            |error| match changes_configs {
                false => error,
                true => Error::Partial {
                    source: Box::new(error),
                    done: "; the configs were changed before".to_owned(),
                },
            },
        )?;
    }
    let configs_set: Vec<&str> = options.config.iter().map(|(name, _)| name.as_str()).collect();
    if options.client.json {
        let configs_deleted = &options.delete_config;
        let name = &options.name;
        return print::json(&Altered { name, partitions, configs_set, configs_deleted });
    }
    let mut done = Vec::new();
    if options.partitions.is_some() {
        done.push(match partitions == before {
            true => format!("{partitions} partitions, as before"),
            false => format!("{partitions} partitions, {before} before"),
        });
    }
    done.extend(options.config.iter().map(|(name, value)| format!("{name}={value}")));
    done.extend(options.delete_config.iter().map(|name| format!("{name} back to its default")));
    print::text(&format!("topic '{}' altered: {}", options.name, done.join(", ")))
}

fn alter_configs(cluster: &mut Cluster, options: &AlterOptions) -> Result<(), Error> {
    let set = options.config.iter().map(|(name, value)| IncrementalAlterableConfig {
        name: Str::from(name.as_str()),
        config_operation: config_operation::SET,
        value: Some(Str::from(value.as_str())),
    });
    let delete = options.delete_config.iter().map(|name| IncrementalAlterableConfig {
        name: Str::from(name.as_str()),
        config_operation: config_operation::DELETE,
        value: None,
    });
    let request = IncrementalAlterConfigsRequest {
        resources: vec![IncrementalAlterConfigsResource {
            resource_type: config_resource_type::TOPIC,
            resource_name: Str::from(options.name.as_str()),
            configs: set.chain(delete).collect(),
        }],
        validate_only: false,
    }
    .into();
    let what = format!("changing configs of topic '{}'", options.name);
    Ok(cluster.retry(|cluster| {
        let response = cluster.controller()?.call(&request)?;
        let Response::IncrementalAlterConfigs(response) = response else {
            unreachable!("the API decides which response is decoded");
        };
        let result = response.responses.first();
        let result = result.ok_or_else(|| ClientError::Unanswered { what: what.clone() })?;
        outcome(cluster, &what, result.error_code, result.error_message.as_deref())
    })?)
}

fn create_partitions(
    cluster: &mut Cluster,
    options: &AlterOptions,
    partitions: usize,
) -> Result<(), Error> {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: Str::from(options.name.as_str()),
            count: i32::try_from(partitions).unwrap_or(i32::MAX),
            assignments: None,
        }],
        timeout_ms: session::broker_timeout_ms(cluster),
        validate_only: false,
    }
    .into();
    let what = format!("giving topic '{}' more partitions", options.name);
    Ok(cluster.retry(|cluster| {
        let Response::CreatePartitions(response) = cluster.controller()?.call(&request)? else {
            unreachable!("the API decides which response is decoded");
        };
        let result = response.results.first();
        let result = result.ok_or_else(|| ClientError::Unanswered { what: what.clone() })?;
        outcome(cluster, &what, result.error_code, result.error_message.as_deref())
    })?)
}

fn outcome(
    cluster: &mut Cluster,
    what: &str,
    code: ErrorCode,
    message: Option<&str>,
) -> Result<(), ClientError> {
    if code.is_none() {
        return Ok(());
    }
    if code == ErrorCode::NotController {
        cluster.metadata(Some(&[]))?;
    }
    Err(ClientError::refused(what, code, message))
}
