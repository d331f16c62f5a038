//! The brokers behind a list of addresses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::retry::Backoff;
use super::{Address, ClientError, Connection, Settings};
use crate::codec::Str;
use crate::messages::{
    Api, MetadataRequest, MetadataRequestTopic, MetadataResponse, Request, Response,
};

/// A broker as metadata tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Where it says it is.
    pub address: Address,
    /// Its rack.
    pub rack: Option<String>,
}

/// The brokers of one cluster, a connection to each that was needed, and the time allowed.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    bootstrap: Vec<Address>,
    /// To whichever of the bootstrap addresses answered.
    any: Option<Connection>,
    connections: BTreeMap<i32, Connection>,
    brokers: BTreeMap<i32, Broker>,
    controller_id: i32,
    cluster_id: Option<String>,
    timeout: Duration,
}

impl Cluster {
    /// Connects to the first of these addresses that leads to a broker, and learns of the others.
    /// `timeout` is how long each operation may be tried again.
    ///
    /// # Errors
    /// That of the only address, or [`ClientError::NoBroker`].
    pub fn connect(
        bootstrap: Vec<Address>,
        settings: Settings,
        timeout: Duration,
    ) -> Result<Cluster, ClientError> {
        let mut cluster = Cluster {
            settings,
            bootstrap,
            any: None,
            connections: BTreeMap::new(),
            brokers: BTreeMap::new(),
            controller_id: -1,
            cluster_id: None,
            timeout,
        };
        cluster.any()?;
        cluster.metadata(Some(&[]))?;
        Ok(cluster)
    }

    /// How clients behave here.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The brokers, by id, as the last metadata told.
    pub fn brokers(&self) -> &BTreeMap<i32, Broker> {
        &self.brokers
    }

    /// The controller's id, or -1.
    pub fn controller_id(&self) -> i32 {
        self.controller_id
    }

    /// The cluster's id, if the broker tells it.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// How long an operation may be tried again.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// That in milliseconds, as requests carry it.
    pub fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// A connection to any broker.
    ///
    /// # Errors
    /// As [`Cluster::connect`].
    pub fn any(&mut self) -> Result<&mut Connection, ClientError> {
        if self.any.as_ref().is_some_and(Connection::is_broken) {
            self.any = None;
        }
        match self.any {
            Some(ref mut connection) => Ok(connection),
            None => {
                let opened = self.open_any()?;
                Ok(self.any.insert(opened))
            }
        }
    }

    fn open_any(&self) -> Result<Connection, ClientError> {
        let mut errors = Vec::new();
        // Those that were learnt of may still be there when the ones given are not.
        let learnt = self.brokers.values().map(|broker| &broker.address);
        for address in self.bootstrap.iter().chain(learnt) {
            match Connection::open(address, &self.settings) {
                Ok(connection) => return Ok(connection),
                Err(ClientError::Interrupted) => return Err(ClientError::Interrupted),
                Err(error) => errors.push(error),
            }
        }
        match errors.len() {
            1 => Err(errors.remove(0)),
            _ => Err(ClientError::NoBroker(errors)),
        }
    }

    /// A connection to this broker. One on which answers are due is not replaced behind the back of
    /// whoever waits for them: that takes [`Cluster::disconnect`].
    ///
    /// # Errors
    /// [`ClientError::UnknownBroker`], [`ClientError::AnswersLost`], and those of
    /// [`Connection::open`].
    pub fn broker(&mut self, id: i32) -> Result<&mut Connection, ClientError> {
        let broker = self.brokers.get(&id).ok_or(ClientError::UnknownBroker(id))?;
        let held = self.connections.get(&id);
        if held.is_none_or(|held| held.is_broken() || *held.address() != broker.address) {
            if let Some(held) = held.filter(|held| held.in_flight() > 0) {
                let (address, due) = (held.address().clone(), held.in_flight());
                return Err(ClientError::AnswersLost { address, due });
            }
            // Not before the old one is gone: its broker may count connections.
            self.connections.remove(&id);
            let opened = Connection::open(&broker.address, &self.settings)?;
            self.connections.insert(id, opened);
        }
        Ok(self.connections.get_mut(&id).expect("it was just put there"))
    }

    /// The connection to this broker, if there is one.
    pub fn connected(&self, id: i32) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// As [`Cluster::connected`], to be used.
    pub fn connected_mut(&mut self, id: i32) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// Ends the connection to this broker; answers that are due are lost.
    pub fn disconnect(&mut self, id: i32) {
        self.connections.remove(&id);
    }

    /// From now on no wait ends when the user wishes to stop: whoever waits has work to finish first.
    pub fn ignore_stop(&mut self) {
        self.settings.stop = Arc::default();
        self.any.iter_mut().chain(self.connections.values_mut()).for_each(Connection::ignore_stop);
    }

    /// A connection to the broker that takes changes of topics and configs. Any broker passes them
    /// on where none is named (KIP-590).
    ///
    /// # Errors
    /// As [`Cluster::broker`].
    pub fn controller(&mut self) -> Result<&mut Connection, ClientError> {
        match self.controller_id {
            id if self.brokers.contains_key(&id) => self.broker(id),
            _ => self.any(),
        }
    }

    /// Asks any broker about these topics, or about all of them; none is created by asking.
    ///
    /// # Errors
    /// Every [`ClientError`]; errors of single topics are in the answer.
    pub fn metadata(&mut self, topics: Option<&[Str]>) -> Result<MetadataResponse, ClientError> {
        let connection = self.any()?;
        let asked =
            |name: &Str| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request: Request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(asked).collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        }
        .into();
        let Response::Metadata(response) = connection.call(&request)? else {
            unreachable!("the API decides which response is decoded");
        };
        if !response.error_code.is_none() {
            let what = "asking for metadata";
            return Err(ClientError::refused(what, response.error_code, None));
        }
        self.learn(&response);
        Ok(response)
    }

    /// As metadata would that names another address.
    #[cfg(test)]
    pub(super) fn move_broker(&mut self, id: i32, address: Address) {
        self.brokers.get_mut(&id).expect("it is known").address = address;
    }

    fn learn(&mut self, response: &MetadataResponse) {
        let broker = |broker: &crate::messages::MetadataResponseBroker| {
            let port = u16::try_from(broker.port).unwrap_or(0);
            let address = Address { host: broker.host.to_string(), port };
            let rack = broker.rack.as_ref().map(ToString::to_string);
            (broker.node_id, Broker { id: broker.node_id, address, rack })
        };
        self.brokers = response.brokers.iter().map(broker).collect();
        self.controller_id = response.controller_id;
        self.cluster_id = response.cluster_id.as_ref().map(ToString::to_string);
    }

    /// Attempts something, and again as long as the error may pass and time is left.
    ///
    /// # Errors
    /// The first that will not pass, or [`ClientError::GaveUp`].
    pub fn retry<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Cluster) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let began = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let error = match attempt(self) {
                Ok(outcome) => return Ok(outcome),
                Err(error) if !error.is_retriable() => return Err(error),
                Err(error) => error,
            };
            let wait = backoff.next_wait();
            let waited = began.elapsed();
            if waited + wait > self.timeout {
                return Err(match waited.is_zero() {
                    true => error,
                    false => ClientError::GaveUp { waited: round(waited), last: Box::new(error) },
                });
            }
            self.sleep(wait)?;
        }
    }

    /// Sleeps, but not past the user's wish to stop.
    ///
    /// # Errors
    /// [`ClientError::Interrupted`].
    pub fn sleep(&self, wait: Duration) -> Result<(), ClientError> {
        let until = Instant::now() + wait;
        loop {
            if self.settings.is_stopped() {
                return Err(ClientError::Interrupted);
            }
            match until.checked_duration_since(Instant::now()) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(left) => thread::sleep(left.min(Duration::from_millis(50))),
            }
        }
    }

    /// True if some broker of the cluster offers this API in a version known here.
    ///
    /// # Errors
    /// As [`Cluster::any`].
    pub fn offers(&mut self, api: Api) -> Result<bool, ClientError> {
        Ok(self.any()?.version(api).is_ok())
    }
}

/// To a tenth of a second, as people read it.
fn round(waited: Duration) -> Duration {
    Duration::from_millis(waited.as_millis() as u64 / 100 * 100)
}
