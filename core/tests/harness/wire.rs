//! A tiny encoder, decoder and connection of the Kafka protocol, written from the protocol guide
//! (kafka.apache.org/protocol) and independent of the broker's own codec: it lets a test lie.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for an answer before it calls the broker hung.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// No answer that a test asks for is larger; more would be a broken length.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Bytes of a request, big-endian.
#[derive(Default)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    pub fn new() -> Self {
        Encoder::default()
    }

    pub fn i8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// STRING: int16 length, bytes.
    pub fn string(self, text: &str) -> Self {
        self.i16(text.len() as i16).raw(text.as_bytes())
    }

    /// NULLABLE_STRING that is null.
    pub fn null_string(self) -> Self {
        self.i16(-1)
    }

    /// BYTES: int32 length, bytes.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.i32(bytes.len() as i32).raw(bytes)
    }

    /// UNSIGNED_VARINT.
    pub fn uvarint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// VARINT/VARLONG, zigzag.
    pub fn varint(self, value: i64) -> Self {
        self.uvarint(((value << 1) ^ (value >> 63)) as u64)
    }

    /// COMPACT_STRING.
    pub fn compact_string(self, text: &str) -> Self {
        self.uvarint(text.len() as u64 + 1).raw(text.as_bytes())
    }
}

/// Reads an answer; every read past its end is an error, never a panic of slicing.
pub struct Decoder<'a>(pub &'a [u8]);

impl<'a> Decoder<'a> {
    pub fn take(&mut self, len: usize) -> io::Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len).ok_or_else(short)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| short())
    }

    pub fn i8(&mut self) -> io::Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> io::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn string(&mut self) -> io::Result<Option<String>> {
        let len = self.i16()?;
        if len < 0 {
            return Ok(None);
        }
        let bytes = self.take(len as usize)?;
        String::from_utf8(bytes.to_vec()).map(Some).map_err(io::Error::other)
    }

    pub fn bytes(&mut self) -> io::Result<Option<&'a [u8]>> {
        let len = self.i32()?;
        if len < 0 { Ok(None) } else { self.take(len as usize).map(Some) }
    }

    /// ARRAY of what `element` reads; a null array is an empty one.
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let len = self.i32()?;
        (0..len).map(|_| element(self)).collect()
    }

    pub fn finish(self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(io::Error::other(format!("{} bytes too many in the answer", self.0.len())))
    }
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is too short")
}

/// A request: its API key, version and body (headers of version 1: not flexible, unless the body brings its own).
pub struct Request {
    pub api_key: i16,
    pub version: i16,
    pub body: Vec<u8>,
}

impl Request {
    /// The frame with its length.
    pub fn frame(&self, correlation_id: i32) -> Vec<u8> {
        let header = Encoder::new().i16(self.api_key).i16(self.version).i32(correlation_id);
        let payload = header.string("harness").raw(&self.body).0;
        Encoder::new().bytes(&payload).0
    }
}

/// A TCP connection that speaks frames.
pub struct Connection {
    pub stream: TcpStream,
    next_correlation_id: i32,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Connection::over(stream))
    }

    pub fn over(stream: TcpStream) -> Connection {
        Connection { stream, next_correlation_id: 1 }
    }

    pub fn send(&mut self, request: &Request) -> io::Result<i32> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.stream.write_all(&request.frame(correlation_id))?;
        Ok(correlation_id)
    }

    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer: correlation id and what follows it.
    pub fn receive(&mut self) -> io::Result<(i32, Vec<u8>)> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let len = u32::from_be_bytes(head) as usize;
        if !(4..=ANSWER_BYTES_MAX).contains(&len) {
            return Err(io::Error::other(format!("the answer claims {len} bytes")));
        }
        let mut frame = vec![0; len];
        self.stream.read_exact(&mut frame)?;
        let body = frame.split_off(4);
        let correlation_id = i32::from_be_bytes(frame.try_into().map_err(|_| short())?);
        Ok((correlation_id, body))
    }

    /// Sends and waits for the answer, whose correlation id must be the request's.
    pub fn call(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let sent = self.send(request)?;
        let (received, body) = self.receive()?;
        if sent != received {
            return Err(io::Error::other(format!("asked {sent}, answered {received}")));
        }
        Ok(body)
    }

    /// ApiVersions v0: every API with its lowest and highest version.
    pub fn api_versions_v0(&mut self) -> io::Result<Vec<(i16, i16, i16)>> {
        let body = self.call(&Request { api_key: 18, version: 0, body: vec![] })?;
        let mut decoder = Decoder(&body);
        let error = decoder.i16()?;
        if error != 0 {
            return Err(io::Error::other(format!("ApiVersions answered error {error}")));
        }
        let ranges = decoder.list(|d| Ok((d.i16()?, d.i16()?, d.i16()?)))?;
        decoder.finish()?;
        Ok(ranges)
    }

    /// True if the other side closes without sending anything more; an answer or silence is false.
    pub fn is_closed_by_peer(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}
