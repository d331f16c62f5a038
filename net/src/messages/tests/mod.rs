//! Every API in every version: against an independent codec, against ourselves, and against bytes
//! written by hand.

mod by_hand;
mod captured;
mod errors;
mod hostile;
mod oracle;
mod round_trip;
