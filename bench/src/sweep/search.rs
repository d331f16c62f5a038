//! The knee: the highest rate at which the bound still holds. Pure logic; what a rate comes to is
//! asked of a function.
//!
//! First the rate doubles until the bound fails (or halves until it holds), then the gap is halved,
//! in ratio, until it is as narrow as wanted. One measurement that holds is believed on the way; one
//! that fails is asked again, for one hiccup of the machine is no limit of the broker. The rate
//! that is left is then confirmed: most of its measurements must hold, or the next lower one is
//! tried.

/// Where to search, and how finely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchArgs {
    /// The first rate tried, per second.
    pub first: f64,
    /// No rate below is tried.
    pub min: f64,
    /// No rate above is tried.
    pub max: f64,
    /// The knee is known when what holds and what fails differ by this factor at most.
    pub factor: f64,
    /// Measurements of a rate that has failed, and of the knee.
    pub repeats: u32,
}

/// What one measurement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bound holds.
    Holds,
    /// It does not.
    Fails,
    /// There is no use in going on: the user wishes the end, or the broker is gone.
    Over,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Knee {
    /// The bound holds at this rate, and fails at a little more.
    At(f64),
    /// It holds at the highest rate that may be tried.
    Above(f64),
    /// It fails at the lowest one.
    Below(f64),
    /// The search was ended; the bound has held at this rate, if at any.
    Unfinished(Option<f64>),
}

/// Most measurements of a search, whatever the arguments say.
const MEASUREMENTS_MAX: u32 = 200;

/// Searches; `measure` is given a rate.
///
/// # Errors
/// The first of `measure`.
pub fn search<E>(
    args: &SearchArgs,
    measure: impl FnMut(f64) -> Result<Verdict, E>,
) -> Result<Knee, E> {
    let mut search = Search { args, measure, measurements: 0 };
    let (mut good, mut bad) = match search.bracket()? {
        Bracket::Between(good, bad) => (good, bad),
        Bracket::Knee(knee) => return Ok(knee),
    };
    while bad / good > args.factor.max(1.001) {
        let middle = (good * bad).sqrt();
        match search.judge(middle, 1)? {
            Verdict::Holds => good = middle,
            Verdict::Fails => bad = middle,
            Verdict::Over => return Ok(Knee::Unfinished(Some(good))),
        }
    }
    loop {
        match search.confirm(good)? {
            Verdict::Holds => return Ok(Knee::At(good)),
            Verdict::Over => return Ok(Knee::Unfinished(None)),
            Verdict::Fails if good <= args.min => return Ok(Knee::Below(good)),
            Verdict::Fails => good = (good / args.factor.max(1.001)).max(args.min),
        }
    }
}

enum Bracket {
    Between(f64, f64),
    Knee(Knee),
}

struct Search<'a, M> {
    args: &'a SearchArgs,
    measure: M,
    measurements: u32,
}

impl<E, M: FnMut(f64) -> Result<Verdict, E>> Search<'_, M> {
    /// A rate that holds and one that fails.
    fn bracket(&mut self) -> Result<Bracket, E> {
        let SearchArgs { first, min, max, .. } = *self.args;
        let mut rate = first.clamp(min, max);
        let (mut good, mut bad) = (None, None);
        loop {
            match self.judge(rate, 1)? {
                Verdict::Holds => good = Some(rate),
                Verdict::Fails => bad = Some(rate),
                Verdict::Over => return Ok(Bracket::Knee(Knee::Unfinished(good))),
            }
            rate = match (good, bad) {
                (Some(good), Some(bad)) => return Ok(Bracket::Between(good, bad)),
                (Some(good), None) if good >= max => {
                    return Ok(Bracket::Knee(match self.confirm(max)? {
                        Verdict::Holds => Knee::Above(max),
                        Verdict::Fails => Knee::Unfinished(None),
                        Verdict::Over => Knee::Unfinished(Some(good)),
                    }));
                }
                (Some(good), None) => (good * 2.0).min(max),
                (None, Some(bad)) if bad <= min => return Ok(Bracket::Knee(Knee::Below(min))),
                (None, _) => (rate / 2.0).max(min),
            };
        }
    }

    /// Holds if one of the first `needed` measurements does; else if most of all do.
    fn judge(&mut self, rate: f64, needed: u32) -> Result<Verdict, E> {
        self.majority(rate, needed)
    }

    /// Holds if most of all measurements do.
    fn confirm(&mut self, rate: f64) -> Result<Verdict, E> {
        self.majority(rate, self.args.repeats / 2 + 1)
    }

    /// Measures until `enough` hold in a row from the first on, or until most hold or fail.
    fn majority(&mut self, rate: f64, enough: u32) -> Result<Verdict, E> {
        let most = self.args.repeats / 2 + 1;
        let (mut holds, mut fails) = (0, 0);
        loop {
            if self.measurements >= MEASUREMENTS_MAX {
                return Ok(Verdict::Over);
            }
            self.measurements += 1;
            match (self.measure)(rate)? {
                Verdict::Holds => holds += 1,
                Verdict::Fails => fails += 1,
                Verdict::Over => return Ok(Verdict::Over),
            }
            if holds >= most || (fails == 0 && holds >= enough) {
                return Ok(Verdict::Holds);
            }
            if fails >= most {
                return Ok(Verdict::Fails);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Knee, SearchArgs, Verdict, search};

    fn args() -> SearchArgs {
        SearchArgs { first: 1000.0, min: 10.0, max: 1e7, factor: 1.05, repeats: 3 }
    }

    fn find(args: &SearchArgs, limit: f64) -> (Knee, Vec<f64>) {
        let mut rates = Vec::new();
        let knee = search(args, |rate| {
            rates.push(rate);
            Ok::<_, ()>(if rate <= limit { Verdict::Holds } else { Verdict::Fails })
        });
        (knee.unwrap(), rates)
    }

    #[test]
    fn a_sharp_knee_is_found_from_above_and_from_below() {
        for limit in [11.0, 900.0, 1000.0, 123_456.0, 9_999_999.0] {
            let (knee, rates) = find(&args(), limit);
            let Knee::At(found) = knee else { panic!("{limit}: {knee:?}") };
            assert!(found <= limit && found * 1.05 >= limit, "{limit}: {found}");
            // Doubling, halving the gap, and repeats of what fails.
            assert!(rates.len() < 60, "{limit}: {rates:?}");
            // The knee was confirmed.
            assert!(rates.iter().filter(|rate| **rate == found).count() >= 2, "{limit}: {rates:?}");
        }
    }

    #[test]
    fn the_ends_are_said_to_be_ends() {
        assert_eq!(find(&args(), 1e9).0, Knee::Above(1e7));
        assert_eq!(find(&args(), 1.0).0, Knee::Below(10.0));
        let narrow = SearchArgs { first: 1.0, min: 50.0, max: 50.0, ..args() };
        assert_eq!(find(&narrow, 60.0).0, Knee::Above(50.0));
        assert_eq!(find(&narrow, 40.0).0, Knee::Below(50.0));
    }

    #[test]
    fn one_hiccup_is_no_limit_and_one_lucky_measurement_no_proof() {
        let mut calls = 0;
        let knee = search(&args(), |rate| {
            calls += 1;
            // Every fifth measurement has a hiccup.
            let holds = rate <= 50_000.0 && calls % 5 != 0;
            Ok::<_, ()>(if holds { Verdict::Holds } else { Verdict::Fails })
        });
        let Ok(Knee::At(found)) = knee else { panic!("{knee:?}") };
        assert!(found <= 50_000.0 && found * 1.05 >= 50_000.0, "{found}");
        // Above 20,000 only the first measurement of a rate holds.
        let mut seen = Vec::new();
        let knee = search(&args(), |rate: f64| {
            let is_first = !seen.contains(&rate.to_bits());
            seen.push(rate.to_bits());
            let holds = rate <= 20_000.0 || (rate <= 30_000.0 && is_first);
            Ok::<_, ()>(if holds { Verdict::Holds } else { Verdict::Fails })
        });
        let Ok(Knee::At(found)) = knee else { panic!("{knee:?}") };
        assert!(found <= 20_000.0 && found * 1.2 >= 20_000.0, "{found}");
    }

    #[test]
    fn an_end_is_an_end_and_an_error_an_error() {
        let mut left = 4;
        let knee = search(&args(), |_| {
            left -= 1;
            Ok::<_, ()>(if left > 0 { Verdict::Holds } else { Verdict::Over })
        });
        assert_eq!(knee, Ok(Knee::Unfinished(Some(4000.0))));
        assert_eq!(search(&args(), |_| Err::<Verdict, _>("gone")), Err("gone"));
        // A search whose answers make no sense ends all the same.
        let mut calls = 0_u32;
        let strange = SearchArgs { factor: 0.0, repeats: 99, ..args() };
        let knee = search(&strange, |_| {
            calls += 1;
            Ok::<_, ()>(if calls.is_multiple_of(2) { Verdict::Holds } else { Verdict::Fails })
        });
        assert!(matches!(knee, Ok(Knee::Unfinished(_))), "{knee:?} after {calls}");
    }
}
