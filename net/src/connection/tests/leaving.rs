//! Connections that leave for another thread, and go on there.

use std::time::Duration;

use super::world::*;
use crate::limits::Limits;

/// What a client sees must not depend on where, and how often, its connection has left.
#[test]
fn nothing_is_lost_repeated_or_reordered_wherever_it_leaves() {
    let requests: Vec<_> = (1..=6).map(|id| (id, produce(vec![b'r'; 40 * id as usize]))).collect();
    let bytes = frames(&requests);
    for leave_after in 1..=5 {
        for cut in 0..=bytes.len() {
            let world = World::default();
            let mut client = world.connect();
            client.broker.leave_after(leave_after);
            client.send_bytes(&bytes[..cut]);
            let mut begun = Vec::new();
            let mut sent = false;
            loop {
                let now = client.broker.begun();
                now.iter().rev().for_each(|id| client.answer_default(*id));
                if client.has_left() {
                    assert_eq!(client.broker.begun().len(), leave_after);
                    begun.extend(client.broker.begun());
                    client = world.go_on(&client);
                } else if !sent {
                    client.send_bytes(&bytes[cut..]);
                    sent = true;
                } else {
                    begun.extend(client.broker.begun());
                    break;
                }
            }
            assert_eq!(begun, [1, 2, 3, 4, 5, 6], "left after {leave_after}, cut at {cut}");
            assert_eq!(client.received_ids(), [1, 2, 3, 4, 5, 6]);
            assert!(client.is_open());
        }
    }
}

#[test]
fn it_leaves_when_the_last_answer_is_written_and_not_before() {
    let world = World::default();
    let client = world.connect();
    client.broker.leave_after(2);
    client.set_room(5);
    client.send(&[(1, produce("a")), (2, produce("b")), (3, produce("c"))]);
    client.answer_default(1);
    assert!(!client.has_left(), "a request is under way");
    client.answer_default(2);
    assert!(!client.has_left(), "an answer is half written");
    assert_eq!(client.broker.begun(), [1, 2]);
    client.set_room(usize::MAX);
    assert!(client.has_left());
    assert_eq!(client.received_ids(), [1, 2]);
    let there = world.go_on(&client);
    assert_eq!(there.broker.begun(), [3]);
}

/// A fetch may wait for as long as its client likes.
#[test]
fn with_a_fetch_under_way_it_leaves_at_the_next_request() {
    let world = World::default();
    let client = world.connect();
    client.broker.leave_after(1);
    client.send(&[(1, fetch()), (2, fetch())]);
    assert_eq!(client.broker.begun(), [1, 2], "who asks ahead is not held up");
    client.answer_default(1);
    client.answer_default(2);
    assert!(!client.has_left());
    client.send(&[(3, fetch()), (4, produce("a"))]);
    assert!(client.has_left());
    assert_eq!(client.broker.begun(), [1, 2]);
    let there = world.go_on(&client);
    assert_eq!(there.broker.begun(), [3, 4], "what came is begun there");
    there.answer_default(3);
    there.answer_default(4);
    assert_eq!(there.received_ids(), [1, 2, 3, 4]);
}

#[test]
fn a_client_that_goes_while_its_fetch_waits_is_noticed_though_it_was_to_leave() {
    let world = World::default();
    let client = world.connect();
    client.broker.leave_after(1);
    client.send(&[(1, fetch())]);
    client.end();
    world.pass(Duration::from_secs(20));
    let noticed = "answers were still under way long after the client closed its side";
    assert_eq!(client.closed(), noticed);
}

#[test]
fn what_the_client_has_told_travels_along() {
    let world = World::default();
    let client = world.connect();
    client.broker.leave_after(1);
    client.send(&[(1, api_versions())]);
    client.answer_default(1);
    let there = world.go_on(&client);
    there.send(&[(2, metadata())]);
    let contexts = there.broker.contexts();
    assert_eq!(contexts[0].client_id.as_deref(), Some("test"));
    assert_eq!(&*contexts[0].client_software.as_ref().expect("told").name, "kitten");
}

#[test]
fn a_client_that_does_not_read_is_ended_though_it_was_to_leave() {
    let world = World::with(
        Limits { write_timeout: Duration::from_secs(5), ..Limits::default() },
        64 << 20,
    );
    let client = world.connect();
    client.broker.leave_after(1);
    client.set_room(0);
    client.send(&[(1, produce("a"))]);
    client.answer_default(1);
    world.pass(Duration::from_secs(20));
    assert!(!client.has_left());
    assert_eq!(client.closed(), "the client does not read its answers");
}

#[test]
fn a_client_that_is_gone_is_noticed_where_its_connection_went() {
    let world = World::default();
    let client = world.connect();
    client.broker.leave_after(1);
    client.send(&[(1, produce("a"))]);
    client.end();
    client.answer_default(1);
    assert!(client.has_left());
    assert_eq!(world.go_on(&client).closed(), "closed by the client");
}
