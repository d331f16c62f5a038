//! Questions about groups: which broker coordinates each, and what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ClientError, Cluster, Connection};
use crate::codec::Str;
use crate::error_code::ErrorCode;
use crate::messages::{Api, FindCoordinatorRequest, GROUP_KEY_TYPE, Response};

/// From this version on FindCoordinator takes several groups (KIP-699).
const KEYS_SINCE: i16 = 4;

/// What became of each group.
pub type Outcomes<T> = BTreeMap<Str, Result<T, ClientError>>;

impl Cluster {
    /// Lets `ask` ask each coordinator about those of `groups` that it coordinates, and again about
    /// those for which it has no answer, as long as the error may pass and time is left. Each group has
    /// an outcome.
    ///
    /// # Errors
    /// What keeps it from asking at all.
    pub fn ask_coordinators<T>(
        &mut self,
        groups: &[Str],
        mut ask: impl FnMut(&mut Connection, &[Str]) -> Result<Outcomes<T>, ClientError>,
    ) -> Result<Outcomes<T>, ClientError> {
        let mut outcomes = Outcomes::new();
        if groups.is_empty() {
            return Ok(outcomes);
        }
        let mut is_first = true;
        let tried = self.retry(|cluster| {
            if !std::mem::take(&mut is_first) {
                // The coordinator may be a broker that is new, or has moved.
                cluster.metadata(Some(&[]))?;
            }
            let left = groups.iter().filter(|group| !outcomes.contains_key(*group));
            let left: Vec<Str> = left.cloned().collect();
            match cluster.ask_once(&left, &mut outcomes, &mut ask)? {
                None => Ok(()),
                Some(error) => Err(error),
            }
        });
        match tried {
            Ok(()) => {}
            Err(error) if outcomes.is_empty() => return Err(error),
            Err(error) => {
                let error = Arc::new(error);
                for group in groups {
                    let failed = || Err(ClientError::Shared(error.clone()));
                    outcomes.entry(group.clone()).or_insert_with(failed);
                }
            }
        }
        for group in groups {
            let what = || format!("asking about group '{group}'");
            let unanswered = || Err(ClientError::Unanswered { what: what() });
            outcomes.entry(group.clone()).or_insert_with(unanswered);
        }
        Ok(outcomes)
    }

    /// One attempt. What may pass leaves a group without an outcome, and is returned.
    fn ask_once<T>(
        &mut self,
        groups: &[Str],
        outcomes: &mut Outcomes<T>,
        ask: &mut impl FnMut(&mut Connection, &[Str]) -> Result<Outcomes<T>, ClientError>,
    ) -> Result<Option<ClientError>, ClientError> {
        let mut passing = None;
        let mut by_broker: BTreeMap<i32, Vec<Str>> = BTreeMap::new();
        for (group, found) in self.find_coordinators(groups)? {
            match found {
                Ok(broker) => by_broker.entry(broker).or_default().push(group),
                Err(error) if error.is_retriable() => passing = Some(error),
                Err(error) => drop(outcomes.insert(group, Err(error))),
            }
        }
        for (broker, groups) in by_broker {
            let asked = self.broker(broker).and_then(|connection| ask(connection, &groups));
            let answers = match asked {
                Ok(answers) => answers,
                Err(error) if error.is_retriable() => {
                    passing = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (group, outcome) in answers {
                match outcome {
                    Err(error) if error.is_retriable() => passing = Some(error),
                    // What was not asked about is no concern.
                    outcome if groups.contains(&group) => drop(outcomes.insert(group, outcome)),
                    _ => {}
                }
            }
        }
        Ok(passing)
    }

    /// The broker that coordinates each of these groups, as any broker tells it, asked once.
    ///
    /// # Errors
    /// Every [`ClientError`] of one connection; those of single groups are in the outcomes.
    pub fn find_coordinators(&mut self, groups: &[Str]) -> Result<Outcomes<i32>, ClientError> {
        let connection = self.any()?;
        if connection.version(Api::FindCoordinator)? >= KEYS_SINCE {
            return find(connection, groups);
        }
        let mut outcomes = Outcomes::new();
        for group in groups {
            outcomes.extend(find(connection, std::slice::from_ref(group))?);
        }
        Ok(outcomes)
    }
}

/// Several groups only if the version has them.
fn find(connection: &mut Connection, groups: &[Str]) -> Result<Outcomes<i32>, ClientError> {
    let request = FindCoordinatorRequest {
        key: groups.first().cloned().unwrap_or_default(),
        key_type: GROUP_KEY_TYPE,
        coordinator_keys: groups.to_vec(),
    };
    let version = connection.version(Api::FindCoordinator)?;
    let Response::FindCoordinator(response) = connection.call(&request.into())? else {
        unreachable!("the API decides which response is decoded");
    };
    let outcome = |group: &Str, code: ErrorCode, message: Option<Str>, broker: i32| match code {
        ErrorCode::None => Ok(broker),
        code => {
            let what = format!("looking for the coordinator of group '{group}'");
            Err(ClientError::refused(what, code, message.as_deref()))
        }
    };
    if version < KEYS_SINCE {
        let told = groups.first().map(|group| {
            let (code, message) = (response.error_code, response.error_message);
            (group.clone(), outcome(group, code, message, response.node_id))
        });
        return Ok(told.into_iter().collect());
    }
    let told = response.coordinators.into_iter().map(|one| {
        let outcome = outcome(&one.key, one.error_code, one.error_message, one.node_id);
        (one.key, outcome)
    });
    Ok(told.collect())
}
