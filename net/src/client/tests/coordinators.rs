//! Groups whose coordinators are not there at once, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::client::Outcomes;
use crate::messages::{
    Coordinator, DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
};

/// A broker that coordinates groups by their names: `g` and `h` as any does; `late`, whose coordinator is
/// not known at first and then still loads; `moving`, which it never coordinates; `forbidden`.
struct Odd {
    finds: AtomicUsize,
    asks: AtomicUsize,
    /// Of FindCoordinator.
    version: i16,
}

impl Odd {
    fn start(version: i16) -> Address {
        let odd = Arc::new(Odd { finds: 0.into(), asks: 0.into(), version });
        // A client has one connection to any broker, and one to this one.
        let (address, ..) = server(move |_, mut socket| {
            let odd = odd.clone();
            thread::spawn(move || while odd.answer(&mut socket).is_some() {});
        });
        address
    }

    fn answer(&self, socket: &mut TcpStream) -> Option<()> {
        let frame = take(socket)?;
        let (header, request) = Request::decode(&frame).unwrap();
        let response = match request {
            Request::ApiVersions(_) => self.offering(),
            Request::FindCoordinator(request) => self.find(request).into(),
            Request::DeleteGroups(request) => self.delete(request).into(),
            _ => this_broker(socket).into(),
        };
        put(socket, &response, header.api_version, header.correlation_id);
        Some(())
    }

    fn offering(&self) -> Response {
        let apis = [
            (Api::Metadata, 9),
            (Api::FindCoordinator, self.version),
            (Api::DeleteGroups, 2),
            (Api::ApiVersions, 3),
        ];
        let offered = |(api, max_version): (Api, i16)| ApiVersion {
            api_key: api.key(),
            min_version: 0,
            max_version,
        };
        let api_keys = apis.into_iter().map(offered).collect();
        ApiVersionsResponse { api_keys, ..Default::default() }.into()
    }

    fn find(&self, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let code = |group: &str| match group {
            "forbidden" => ErrorCode::GroupAuthorizationFailed,
            "late" if self.finds.fetch_add(1, Ordering::Relaxed) == 0 => {
                ErrorCode::CoordinatorNotAvailable
            }
            _ => ErrorCode::None,
        };
        if self.version < 4 {
            let error_code = code(&request.key);
            return FindCoordinatorResponse { error_code, node_id: 7, ..Default::default() };
        }
        let coordinator = |key: &Str| Coordinator {
            key: key.clone(),
            node_id: 7,
            error_code: code(key),
            ..Default::default()
        };
        let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
        FindCoordinatorResponse { coordinators, ..Default::default() }
    }

    fn delete(&self, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let result = |group_id: Str| {
            let error_code = match &*group_id {
                "late" if self.asks.fetch_add(1, Ordering::Relaxed) == 0 => {
                    ErrorCode::CoordinatorLoadInProgress
                }
                "moving" => ErrorCode::NotCoordinator,
                _ => ErrorCode::None,
            };
            DeletableGroupResult { group_id, error_code, ..Default::default() }
        };
        // What it was not asked about, and silence about what it was.
        let told = request.groups_names.into_iter().filter(|group| **group != *"silence");
        let results = told.chain([Str::from("stranger")]).map(result).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    }
}

fn this_broker(socket: &TcpStream) -> MetadataResponse {
    let port = socket.local_addr().unwrap().port();
    let broker = MetadataResponseBroker {
        node_id: 7,
        host: Str::from("127.0.0.1"),
        port: port.into(),
        ..Default::default()
    };
    MetadataResponse { brokers: vec![broker], controller_id: 7, ..Default::default() }
}

/// What comes of asking about these groups, and how often each was asked about.
fn asked(version: i16, groups: &[&str], timeout: Duration) -> (Outcomes<()>, Vec<String>) {
    let mut cluster = Cluster::connect(vec![Odd::start(version)], settings(), timeout).unwrap();
    let groups: Vec<Str> = groups.iter().map(|group| Str::from(*group)).collect();
    let mut seen = Vec::new();
    let outcomes = cluster.ask_coordinators(&groups, |connection, groups| {
        seen.extend(groups.iter().map(ToString::to_string));
        let request = DeleteGroupsRequest { groups_names: groups.to_vec() };
        let Response::DeleteGroups(response) = connection.call(&request.into())? else {
            unreachable!()
        };
        let outcome = |result: DeletableGroupResult| match result.error_code {
            ErrorCode::None => (result.group_id, Ok(())),
            code => (result.group_id, Err(ClientError::refused("x", code, None))),
        };
        Ok(response.results.into_iter().map(outcome).collect())
    });
    (outcomes.unwrap(), seen)
}

#[test]
fn groups_are_asked_about_until_their_coordinators_answer() {
    for version in [3, 4] {
        let (outcomes, seen) = asked(version, &["g", "late", "h"], Duration::from_secs(20));
        assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
        let times = |group: &str| seen.iter().filter(|one| *one == group).count();
        assert_eq!((times("g"), times("h"), times("late")), (1, 1, 2), "version {version}");
    }
}

#[test]
fn a_group_that_fails_is_no_harm_to_others() {
    let groups = ["g", "forbidden", "moving", "silence"];
    let (outcomes, _) = asked(4, &groups, Duration::from_millis(200));
    assert!(outcomes["g"].is_ok());
    let code = |group: &str| outcomes[group].as_ref().unwrap_err().code();
    assert_eq!(code("forbidden"), Some(ErrorCode::GroupAuthorizationFailed));
    assert_eq!(code("moving"), Some(ErrorCode::NotCoordinator));
    assert!(outcomes["silence"].is_err());
    let (outcomes, _) = asked(4, &["silence"], Duration::from_secs(5));
    assert!(matches!(outcomes["silence"], Err(ClientError::Unanswered { .. })), "{outcomes:?}");
}

#[test]
fn a_version_can_be_held_down() {
    let mut connection = Connection::open(&Odd::start(4), &settings()).unwrap();
    assert_eq!(connection.version_up_to(Api::Metadata, 5).unwrap(), 5);
    assert_eq!(connection.version_up_to(Api::Metadata, 99).unwrap(), 9);
    assert!(connection.version_up_to(Api::Metadata, -1).is_err());
    let request = MetadataRequest::default().into();
    assert!(matches!(connection.call_up_to(1, &request), Ok(Response::Metadata(_))));
}
