//! The commands that ask a broker, as a user runs them: the built program, its exit codes, what it
//! prints, against a broker of the harness and against servers that are none.

#[path = "../harness/mod.rs"]
mod harness;

mod broken;
mod cluster;
mod consume;
mod false_broker;
mod group;
mod produce;
mod run;
mod topic;
