//! Compaction of one log in the simulated world, one thing at a time; and the rules, over bytes.

mod faults;
mod rules;
mod slots;
mod swaps;
