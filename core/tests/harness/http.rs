//! A broker's HTTP port, asked over a plain socket.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::broker::Broker;

const TIMEOUT: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub body: String,
}

/// Where the broker says that it answers, after its last start.
pub fn address(broker: &Broker) -> SocketAddr {
    let output = broker.output();
    let place = output.rsplit_once("metrics at http://").expect("the start-up line has it").1;
    place.split_once("/metrics").expect("a URL").0.parse().expect("an address")
}

/// Asks for a path.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    try_get(address, path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// As [`get`], when nobody may be there.
pub fn try_get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: broker\r\n\r\n").as_bytes())
}

/// Sends `request` as it is, and reads until the other side closes.
pub fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no head"))?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The samples of a page, by series.
pub struct Samples(pub BTreeMap<String, f64>);

impl Samples {
    /// Scrapes the broker.
    pub fn of(broker: &Broker) -> Samples {
        let answer = get(address(broker), "/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Samples::parse(&answer.body)
    }

    pub fn parse(page: &str) -> Samples {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series.to_owned(), value.parse().expect("a number"))
        };
        Samples(lines.map(sample).collect())
    }

    /// The value of a series, 0 if there is none: counters by name begin with their first event.
    pub fn value(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }

    /// By how much a series has grown since `before`.
    pub fn since(&self, before: &Samples, series: &str) -> f64 {
        self.value(series) - before.value(series)
    }

    /// The sum of all series of a metric.
    pub fn sum(&self, metric: &str) -> f64 {
        let of_metric = |series: &str| series.split('{').next() == Some(metric);
        self.0.iter().filter(|(series, _)| of_metric(series)).map(|(_, value)| value).sum()
    }
}
