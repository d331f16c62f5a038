//! Connections in a world without sockets: see `world`.

mod faults;
mod leaving;
mod order;
mod pressure;
mod slow;
mod turns;
mod world;
