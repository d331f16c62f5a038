//! A connection that asks and waits.

use std::net::TcpStream;

use corelane_net::client::address::AddressError;
use corelane_net::client::{Address, ClientError, Connection, Settings, connection};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{Api, Request, Response};

use crate::error::BenchError;
use crate::stop::Stop;

/// Who we say we are.
pub(crate) const CLIENT_ID: &str = "corelane-bench";

/// A connection for one request at a time, and what its broker offers.
pub(crate) struct Control {
    connection: Connection,
    address: String,
}

impl Control {
    /// Connects to the first of a comma-separated list of addresses that leads to a broker.
    pub(crate) fn connect(bootstrap: &str) -> Result<Control, BenchError> {
        Control::connect_until(bootstrap, &Stop::new())
    }

    /// The same, given up when `stop` is set. What is asked on the connection is waited for all the
    /// same: a topic that was made has to go.
    pub(crate) fn connect_until(bootstrap: &str, stop: &Stop) -> Result<Control, BenchError> {
        let settings = Settings { stop: stop.flag(), ..Settings::new(CLIENT_ID) };
        let mut errors = Vec::new();
        let argument = |error: AddressError| BenchError::Argument(error.to_string());
        for address in Address::list(bootstrap).map_err(argument)? {
            match Connection::open(&address, &settings) {
                Ok(mut connection) => {
                    connection.ignore_stop();
                    return Ok(Control { connection, address: address.to_string() });
                }
                Err(ClientError::Interrupted) => return Err(BenchError::Interrupted),
                Err(error) => errors.push(error),
            }
        }
        Err(match errors.len() {
            1 => errors.remove(0),
            _ => ClientError::NoBroker(errors),
        }
        .into())
    }

    /// The `host:port` that accepted.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The highest version that both sides know.
    pub(crate) fn version(&self, api: Api) -> Result<i16, BenchError> {
        Ok(self.connection.version(api)?)
    }

    /// Asks in the highest version that both sides know.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Response, BenchError> {
        Ok(self.connection.call(request)?)
    }
}

/// A connection to a `host:port`, whose waits are bounded.
pub(crate) fn connect(address: &str) -> Result<TcpStream, BenchError> {
    let address = address.parse::<Address>().map_err(ClientError::from)?;
    Ok(connection::dial(&address, &Settings::new(CLIENT_ID))?)
}

/// The broker's refusal as an error.
pub(super) fn refused(what: &str, code: ErrorCode, message: Option<&str>) -> BenchError {
    BenchError::Refused { what: what.to_owned(), code, message: message.map(str::to_owned) }
}
