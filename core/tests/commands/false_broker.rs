//! A broker that answers what a test tells it to: damage that a real one would not send.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bytes::Bytes;
use corelane_net::codec::{Encoder, Str};
use corelane_net::messages::{
    Api, ApiVersion, ApiVersionsResponse, EARLIEST_TIMESTAMP, FetchRequest, FetchResponse,
    FetchableTopicResponse, ListOffsetsPartitionResponse, ListOffsetsResponse,
    ListOffsetsTopicResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic, PartitionData, Request, Response,
};

const TOPIC: Str = Str::from_static("t");

/// One topic `t` with one partition, whose log is `log`, up to offset `end`.
pub fn start(log: Vec<u8>, end: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let log = Bytes::from(log);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let log = log.clone();
            thread::spawn(move || serve(socket, &log, end));
        }
    });
    address.to_string()
}

fn serve(mut socket: TcpStream, log: &Bytes, end: i64) {
    let port = socket.local_addr().expect("an address").port();
    loop {
        let mut length = [0; 4];
        if socket.read_exact(&mut length).is_err() {
            return;
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        socket.read_exact(&mut frame).expect("a whole frame");
        let frame = Bytes::from(frame);
        let (header, request) = Request::decode(&frame).expect("a request");
        let response = match request {
            Request::ApiVersions(_) => offered(),
            Request::Metadata(_) => metadata(port),
            Request::ListOffsets(request) => {
                let is_first = request.topics[0].partitions[0].timestamp == EARLIEST_TIMESTAMP;
                offset(if is_first { 0 } else { end })
            }
            Request::Fetch(request) => fetched(&request, log, end),
            other => panic!("{other:?}"),
        };
        let mut out = Encoder::new();
        let encoded = response.encode(header.api_version, header.correlation_id, &mut out);
        encoded.expect("an answer");
        if socket.write_all(&out.take_bytes()).is_err() {
            return;
        }
    }
}

fn offered() -> Response {
    let versions =
        [(Api::ApiVersions, 3), (Api::Metadata, 9), (Api::ListOffsets, 5), (Api::Fetch, 11)];
    let version = |(api, version): (Api, i16)| ApiVersion {
        api_key: api.key(),
        min_version: version,
        max_version: version,
    };
    let api_keys = versions.into_iter().map(version).collect();
    ApiVersionsResponse { api_keys, ..Default::default() }.into()
}

fn metadata(port: u16) -> Response {
    let partition = MetadataResponsePartition {
        leader_id: 1,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: Str::from_static("127.0.0.1"),
            port: port.into(),
            ..Default::default()
        }],
        controller_id: 1,
        topics: vec![MetadataResponseTopic {
            name: Some(TOPIC),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

fn offset(offset: i64) -> Response {
    let partition = ListOffsetsPartitionResponse { offset, ..Default::default() };
    ListOffsetsResponse {
        topics: vec![ListOffsetsTopicResponse { name: TOPIC, partitions: vec![partition] }],
        ..Default::default()
    }
    .into()
}

/// The whole log, as long as it is not read to its end.
fn fetched(request: &FetchRequest, log: &Bytes, end: i64) -> Response {
    let position = request.topics[0].partitions[0].fetch_offset;
    let records = if position < end { log.clone() } else { Bytes::new() };
    let partition = PartitionData {
        high_watermark: end,
        last_stable_offset: end,
        records: Some(records.into()),
        ..Default::default()
    };
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: TOPIC,
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}
