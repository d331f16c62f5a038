//! Which kinds of requests, and how many of each.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One batch to each of some partitions.
    Produce,
    /// The newest batch that this connection has written to a partition.
    Fetch,
    /// The topic's description.
    Metadata,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Produce, Kind::Fetch, Kind::Metadata];

    /// Its name, in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Produce => "produce",
            Kind::Fetch => "fetch",
            Kind::Metadata => "metadata",
        }
    }
}

/// Largest weight.
const WEIGHT_MAX: u32 = 1_000_000;

/// Weights of the kinds: `produce=70,fetch=25,metadata=5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix([u32; 3]);

impl Mix {
    /// The share of a kind.
    pub fn share(&self, kind: Kind) -> f64 {
        f64::from(self.0[kind as usize]) / f64::from(self.0.iter().sum::<u32>())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let expected =
            || "expected weights, as produce=70,fetch=25,metadata=5; not all 0".to_owned();
        let mut weights = [None; 3];
        for part in text.split(',') {
            let (name, weight) = part.trim().split_once('=').ok_or_else(expected)?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let weight = weight.parse().ok().filter(|weight| *weight <= WEIGHT_MAX);
            let (kind, weight) = kind.zip(weight).ok_or_else(expected)?;
            if weights[kind as usize].replace(weight).is_some() {
                return Err(format!("{name} is named twice"));
            }
        }
        let mix = Mix(weights.map(Option::unwrap_or_default));
        if mix.0.iter().all(|weight| *weight == 0) {
            return Err(expected());
        }
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [produce, fetch, metadata] = self.0;
        write!(f, "produce={produce},fetch={fetch},metadata={metadata}")
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.collect_str(self)
    }
}

/// The kinds in turn, spread as evenly as their weights let them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    mix: Mix,
    credits: [i64; 3],
}

impl Turns {
    pub(super) fn new(mix: Mix) -> Turns {
        Turns { mix, credits: [0; 3] }
    }

    /// The kind whose turn it is: each gains its weight, and the richest pays for all.
    pub(super) fn next(&mut self) -> Kind {
        let mut richest = Kind::Produce;
        for kind in Kind::ALL {
            self.credits[kind as usize] += i64::from(self.mix.0[kind as usize]);
            if self.credits[kind as usize] > self.credits[richest as usize] {
                richest = kind;
            }
        }
        self.credits[richest as usize] -= i64::from(self.mix.0.iter().sum::<u32>());
        richest
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Mix, Turns};

    #[test]
    fn mixes_are_read_and_told() {
        let mix: Mix = "fetch=25,produce=70,metadata=5".parse().unwrap();
        assert_eq!(mix.to_string(), "produce=70,fetch=25,metadata=5");
        assert_eq!((mix.share(Kind::Produce), mix.share(Kind::Metadata)), (0.7, 0.05));
        assert_eq!("fetch=1".parse::<Mix>().unwrap().share(Kind::Fetch), 1.0);
        for wrong in
            ["", "produce", "produce=0", "produce=-1", "produce=x", "eat=1", "fetch=1,fetch=2"]
        {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
        assert!("produce=9999999".parse::<Mix>().is_err());
    }

    #[test]
    fn turns_are_as_frequent_as_weights_and_evenly_spread() {
        let mut turns = Turns::new("produce=70,fetch=25,metadata=5".parse().unwrap());
        for _ in 0..10 {
            let hundred: Vec<Kind> = (0..100).map(|_| turns.next()).collect();
            let count = |kind| hundred.iter().filter(|other| **other == kind).count();
            let counts = [Kind::Produce, Kind::Fetch, Kind::Metadata].map(count);
            assert_eq!(counts, [70, 25, 5]);
            // No half without a metadata request.
            assert!(hundred[..50].contains(&Kind::Metadata));
        }
        let mut only = Turns::new("metadata=3".parse().unwrap());
        assert!((0..10).all(|_| only.next() == Kind::Metadata));
    }
}
