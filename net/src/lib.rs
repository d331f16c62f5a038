//! Bytes to and from sockets.
