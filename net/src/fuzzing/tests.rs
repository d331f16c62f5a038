//! The fuzz functions on valid bytes, whole and mutated, from one seed.

use std::path::Path;

use bytes::Bytes;

use super::{frames, produce, requests, responses};
use crate::codec::generate::{Source, mutate};
use crate::messages::{Api, Request, Response};

const ROUNDS: usize = 40;

/// Every API and version, as the bytes that choose them.
fn choices() -> impl Iterator<Item = (Api, i16, [u8; 2])> {
    Api::ALL.iter().enumerate().flat_map(|(index, &api)| {
        let versions = api.versions();
        let first = *versions.start();
        versions.map(move |number| (api, number, [index as u8, (number - first) as u8]))
    })
}

fn request_body(api: Api, number: i16, source: &mut Source) -> Bytes {
    let request = Request::generate(api, api.version(number), source);
    let mut out = crate::codec::Encoder::new();
    request.encode(number, 7, None, &mut out).unwrap();
    let header_bytes = if api.version(number).flexible { 15 } else { 14 };
    out.take_bytes().slice(header_bytes..)
}

fn response_body(api: Api, number: i16, source: &mut Source) -> Bytes {
    let response = Response::generate(api, api.version(number), source);
    let mut out = crate::codec::Encoder::new();
    response.encode(number, 7, &mut out).unwrap();
    let header_bytes = if api.response_header_tagged(number) { 9 } else { 8 };
    out.take_bytes().slice(header_bytes..)
}

#[test]
fn mutated_requests_hold() {
    let mut source = Source(11);
    for _ in 0..ROUNDS {
        for (api, number, choice) in choices() {
            let body = request_body(api, number, &mut source);
            requests(&[&choice, &body[..]].concat());
            requests(&[&choice, &mutate(&body, &mut source)[..]].concat());
        }
    }
}

#[test]
fn mutated_produce_requests_hold() {
    let mut source = Source(12);
    for round in 0..3_000 {
        let versions = Api::Produce.versions();
        let number = versions.start() + (round % 11);
        let body = request_body(Api::Produce, number, &mut source);
        let choice = [(number - versions.start()) as u8];
        produce(&[&choice, &body[..]].concat());
        produce(&[&choice, &mutate(&body, &mut source)[..]].concat());
    }
}

#[test]
fn mutated_responses_hold() {
    let mut source = Source(13);
    for _ in 0..ROUNDS {
        for (api, number, choice) in choices() {
            let body = response_body(api, number, &mut source);
            responses(&[&choice, &body[..]].concat());
            responses(&[&choice, &mutate(&body, &mut source)[..]].concat());
        }
    }
}

#[test]
fn mutated_streams_hold() {
    let mut source = Source(14);
    for _ in 0..4_000 {
        let mut stream = vec![source.next() as u8];
        for _ in 0..source.below(5) {
            let len = 10 + source.below(300);
            stream.extend_from_slice(&(len as i32).to_be_bytes());
            stream.extend((0..len).map(|_| source.next() as u8));
        }
        frames(&stream);
        frames(&mutate(&stream, &mut source));
    }
}

#[test]
#[ignore = "writes core/fuzz/corpus, from which cargo fuzz starts"]
fn write_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/fuzz/corpus");
    let write = |target: &str, name: String, bytes: &[u8]| {
        std::fs::create_dir_all(corpus.join(target)).unwrap();
        std::fs::write(corpus.join(target).join(name), bytes).unwrap();
    };
    let mut source = Source(15);
    for (api, number, choice) in choices() {
        let (name, body) = (format!("{api:?}-{number}"), request_body(api, number, &mut source));
        let framed = [&[200][..], &(body.len() as i32).to_be_bytes(), &body].concat();
        write("frames", name.clone(), &framed);
        write("requests", name.clone(), &[&choice, &body[..]].concat());
        if api == Api::Produce {
            write("produce", name.clone(), &[&choice[1..], &body[..]].concat());
        }
        let body = response_body(api, number, &mut source);
        write("responses", name, &[&choice, &body[..]].concat());
    }
}
