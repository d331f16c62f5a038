//! Metadata: brokers and topics, by name and by id, and topics created by being asked for.

use corelane_net::codec::{Str, Uuid};
use corelane_net::messages::{MetadataRequest, MetadataRequestTopic};

use crate::stage::Stage;

const EVERY_VERSION: &[i16] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
/// Enough of them: in each a field came, or a rule changed.
const SOME_VERSIONS: &[i16] = &[0, 1, 4, 8, 9, 12, 13];

/// About all topics and about none, while there is only the one that is made to see its epoch.
pub fn everything(stage: &mut Stage<'_>) {
    stage.ask_at(&EVERY_VERSION[1..], "all topics", request(None));
    stage.ask_at(EVERY_VERSION, "an empty list", request(Some(Vec::new())));
    let asked = MetadataRequest {
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
        ..request(None)
    };
    stage.ask_at(&[8, 10, 11, 13], "with the operations allowed", asked);
}

pub fn play(stage: &mut Stage<'_>) {
    let id = stage.create_topic("metadata-topic", 2, &[]);
    stage.create_topic("dotted.name", 1, &[]);
    stage.ask_at(EVERY_VERSION, "a topic", by_name(&["metadata-topic"]));
    // Before version 4 to ask is to create.
    stage.ask_at(&[4, 8, 9, 12, 13], "an unknown topic", not_creating(&["metadata-unknown"]));
    stage.ask_at(&[4, 13], "two topics", not_creating(&["metadata-topic", "metadata-unknown"]));
    stage.ask_at(&[4, 13], "a topic twice", not_creating(&["metadata-topic", "metadata-topic"]));
    illegal_names(stage);
    by_id(stage, id);
    created(stage);
}

/// Broker without automatic creation.
pub fn refused(stage: &mut Stage<'_>) {
    stage.ask_at(SOME_VERSIONS, "a topic that may be created", by_name(&["refused-topic"]));
    stage.ask_at(&[1, 9, 13], "an illegal name", by_name(&["no/slash"]));
    stage.ask_at(&[9, 13], "an internal topic's name", by_name(&["__consumer_offsets"]));
}

fn illegal_names(stage: &mut Stage<'_>) {
    let longest = "n".repeat(249);
    let too_long = "n".repeat(250);
    let names: [(&str, &str); 8] = [
        ("one dot", "."),
        ("two dots", ".."),
        ("the empty name", ""),
        ("a slash", "a/b"),
        ("a blank", "a b"),
        ("a letter that is not ASCII", "ä"),
        ("250 characters", &too_long),
        ("249 characters", &longest),
    ];
    for (step, name) in names {
        stage.ask_at(&[1, 9, 12], step, not_creating(&[name]));
        if name.len() != 249 {
            stage.ask_at(&[13], &format!("{step}, to be created"), by_name(&[name]));
        }
    }
}

fn by_id(stage: &mut Stage<'_>, id: Uuid) {
    let unknown = Uuid(*b"an unknown topic");
    let topic =
        |topic_id, name: Option<&str>| MetadataRequestTopic { topic_id, name: name.map(Str::from) };
    let asking = |topics: Vec<MetadataRequestTopic>| MetadataRequest {
        allow_auto_topic_creation: false,
        ..request(Some(topics))
    };
    let versions = &[10, 11, 12, 13];
    stage.ask_at(versions, "an id", asking(vec![topic(id, None)]));
    stage.ask_at(versions, "an unknown id", asking(vec![topic(unknown, None)]));
    stage.ask_at(versions, "neither id nor name", asking(vec![topic(Uuid::ZERO, None)]));
    let both = topic(id, Some("metadata-topic"));
    stage.ask_at(versions, "an id and its name", asking(vec![both]));
    stage.ask_at(
        versions,
        "an id and another's name",
        asking(vec![topic(id, Some("dotted.name"))]),
    );
    let by_name = topic(Uuid::ZERO, Some("metadata-topic"));
    stage.ask_at(&[12, 13], "an id beside a name", asking(vec![topic(id, None), by_name]));
    let twice = vec![topic(id, None), topic(id, None)];
    stage.ask_at(&[12, 13], "an id twice", asking(twice));
}

fn created(stage: &mut Stage<'_>) {
    for version in SOME_VERSIONS {
        let name = format!("created-by-v{version}");
        stage.ask_at(&[*version], "creates", by_name(&[&name]));
        stage.wait_until_served(&name, 4);
        stage.ask_at(&[*version], "has created", by_name(&[&name]));
    }
    stage.ask_at(&[1, 13], "would collide with dotted.name", by_name(&["dotted_name"]));
    stage.ask_at(&[4], "creates two", by_name(&["created-a", "created-b", "created-a"]));
}

fn request(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataRequest {
    MetadataRequest { topics, ..MetadataRequest::default() }
}

fn by_name(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some((*name).into()),
        ..MetadataRequestTopic::default()
    };
    request(Some(names.iter().map(topic).collect()))
}

fn not_creating(names: &[&str]) -> MetadataRequest {
    MetadataRequest { allow_auto_topic_creation: false, ..by_name(names) }
}
