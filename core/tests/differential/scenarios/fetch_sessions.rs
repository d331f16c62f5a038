//! Fetch sessions (KIP-227): opened, continued, changed, closed, and misused.

use corelane_net::codec::Uuid;
use corelane_net::messages::{FetchRequest, FetchTopic, ForgottenTopic, Request, Response};

use super::fetch::{partition, request, topic};
use super::produce;
use crate::harness::batch::Batch;
use crate::harness::requests::produce_one;
use crate::stage::Stage;

/// The last versions by name, the first and the last by id.
const VERSIONS: &[i16] = &[7, 12, 13, 18];

pub fn play(stage: &mut Stage<'_>) {
    for version in VERSIONS {
        life(stage, *version);
        misuse(stage, *version);
    }
    names_and_ids(stage);
    deleted(stage);
}

/// A session under way: the requests that continue it.
struct Session {
    id: i32,
    epoch: i32,
    version: i16,
}

impl Session {
    fn open(stage: &mut Stage<'_>, version: i16, step: &str, topics: Vec<FetchTopic>) -> Session {
        let asked = FetchRequest { session_epoch: 0, ..request(topics) };
        let answer = stage.ask(&format!("v{version}: {step}"), version, asked);
        let Some(Response::Fetch(answer)) = answer else { panic!("no session is opened") };
        Session { id: answer.session_id, epoch: 0, version }
    }

    fn request(&self, topics: Vec<FetchTopic>) -> FetchRequest {
        FetchRequest { session_id: self.id, session_epoch: self.epoch, ..request(topics) }
    }

    fn next(&mut self, stage: &mut Stage<'_>, step: &str, topics: Vec<FetchTopic>) {
        self.next_without(stage, step, topics, Vec::new());
    }

    fn next_without(
        &mut self,
        stage: &mut Stage<'_>,
        step: &str,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic>,
    ) {
        self.epoch += 1;
        let asked = FetchRequest { forgotten_topics_data, ..self.request(topics) };
        stage.ask(&format!("v{}: {step}", self.version), self.version, asked);
    }
}

fn life(stage: &mut Stage<'_>, version: i16) {
    let name = format!("session-v{version}");
    let id = stage.create_topic(&name, 3, &[]);
    let mut connection = stage.connect();
    let batch = Batch::of(&[b"one", b"two"]).encode();
    let of = |partitions| vec![topic(&name, id, partitions)];
    let opening = of(vec![partition(0, 0), partition(1, 0)]);
    let mut session = Session::open(stage, version, "opened", opening);
    session.next(stage, "nothing new", Vec::new());
    produce_one(&mut connection, &name, 0, &batch);
    session.next(stage, "a batch in partition 0", Vec::new());
    session.next(stage, "the same batch again", Vec::new());
    session.next(stage, "read on", of(vec![partition(0, 2)]));
    session.next(stage, "nothing new since", Vec::new());
    produce_one(&mut connection, &name, 1, &batch);
    produce_one(&mut connection, &name, 2, &batch);
    session.next(stage, "partition 2 is added", of(vec![partition(2, 0)]));
    session.next(stage, "an unknown partition is added", of(vec![partition(7, 0)]));
    session.next(stage, "the unknown partition again", Vec::new());
    let forgotten =
        vec![ForgottenTopic { topic: name.as_str().into(), topic_id: id, partitions: vec![1, 7] }];
    session.next_without(stage, "two are forgotten", Vec::new(), forgotten.clone());
    session.next_without(stage, "forgotten again", Vec::new(), forgotten);
    session.next(stage, "out of range", of(vec![partition(2, 99)]));
    session.next(stage, "still out of range", Vec::new());
    let close = FetchRequest { session_epoch: -1, ..session.request(Vec::new()) };
    stage.ask(&format!("v{version}: closed"), version, close);
    session.next(stage, "after it was closed", Vec::new());
}

fn misuse(stage: &mut Stage<'_>, version: i16) {
    let name = format!("misused-v{version}");
    let id = stage.create_topic(&name, 1, &[]);
    let of = |offset| vec![topic(&name, id, vec![partition(0, offset)])];
    let mut session = Session::open(stage, version, "opened to be misused", of(0));
    for (step, session_id, session_epoch) in [
        ("an epoch too many", session.id, 2),
        ("an unknown session", session.id ^ 1 << 20, 1),
        ("session 0, epoch 1", 0, 1),
        ("session -1, epoch 1", -1, 1),
        ("a negative epoch", session.id, -2),
        ("the largest epoch", session.id, i32::MAX),
        ("no session closed", 0, -1),
        ("an unknown session closed", 12_345, -1),
    ] {
        let asked = FetchRequest { session_id, session_epoch, ..request(of(0)) };
        stage.ask(&format!("v{version}: {step}"), version, asked);
    }
    session.next(stage, "it lives on", Vec::new());
    session.epoch = -1;
    session.next(stage, "opened anew over the old one", of(0));
    session.epoch = 1;
    session.next(stage, "the old one is gone", Vec::new());
}

/// KIP-516: a session is of names or of ids, not of both.
fn names_and_ids(stage: &mut Stage<'_>) {
    let id = stage.create_topic("named-and-numbered", 1, &[]);
    let of = || vec![topic("named-and-numbered", id, vec![partition(0, 0)])];
    let mut names = Session::open(stage, 12, "opened by name", of());
    names.version = 13;
    names.next(stage, "continued by id", of());
    let mut ids = Session::open(stage, 13, "opened by id", of());
    ids.version = 12;
    ids.next(stage, "continued by name", of());
    let unknown = || vec![topic("nowhere", Uuid(*b"an unknown topic"), vec![partition(0, 0)])];
    for version in [12, 13] {
        let mut session = Session::open(stage, version, "opened on an unknown topic", unknown());
        session.next(stage, "continued on an unknown topic", Vec::new());
    }
}

/// A topic is deleted under a session, and made again.
fn deleted(stage: &mut Stage<'_>) {
    for version in [12, 18] {
        let name = format!("deleted-v{version}");
        let id = stage.create_topic(&name, 1, &[]);
        let opening = vec![topic(&name, id, vec![partition(0, 0)])];
        let mut session = Session::open(stage, version, "opened on a topic to be deleted", opening);
        stage.delete_topic(&name);
        session.next(stage, "its topic is deleted", Vec::new());
        session.next(stage, "its topic is still deleted", Vec::new());
        let again = stage.create_topic(&name, 1, &[]);
        session.next(stage, "its topic is made again", Vec::new());
        session.next(
            stage,
            "its new topic is added",
            vec![topic(&name, again, vec![partition(0, 0)])],
        );
        if version >= 13 {
            produce_to_deleted(stage, id);
        }
    }
}

fn produce_to_deleted(stage: &mut Stage<'_>, id: Uuid) {
    let request = produce::by_id(id, &[(0, &Batch::of(&[b"late"]).encode())]);
    stage.ask("v13: produce to the deleted topic", 13, Request::from(request));
}
