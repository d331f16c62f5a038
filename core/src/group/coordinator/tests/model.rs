//! Clients at random over virtual time: they join, sync, beat, commit, leave, vanish, lose answers, and
//! the broker is killed in between.
//!
//! What must hold: every request is answered once; no two members have the same partition in one
//! generation; what was durable is there after a kill, and nothing else; when all have gone nothing is
//! left.

use std::collections::HashMap;

use super::*;
use crate::seeded::Rng;

const PARTITIONS: u64 = 7;

#[derive(Clone, Debug)]
enum Doing {
    Idle,
    Joining(Waiter),
    Syncing(Waiter),
    Working,
}

#[derive(Clone, Debug)]
struct Client {
    instance: Option<String>,
    id: String,
    generation: i32,
    doing: Doing,
    version: i16,
}

struct Run {
    world: World,
    rng: Rng,
    clients: Vec<Client>,
    /// Who has which partition, by generation. A kill begins a new count: generations may repeat.
    owners: HashMap<(i32, String), String>,
    generations: i32,
    committed: i64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::new(seed);
        let client = |number: u64, rng: &mut Rng| Client {
            instance: rng.below(3).eq(&0).then(|| format!("static-{number}")),
            id: String::new(),
            generation: -1,
            doing: Doing::Idle,
            version: [3, 5, 9][rng.below(3) as usize],
        };
        let clients = (0..1 + rng.below(6)).map(|number| client(number, &mut rng)).collect();
        let (world, owners) = (World::new(), HashMap::new());
        Run { world, rng, clients, owners, generations: 0, committed: 0 }
    }

    fn play(&mut self, steps: usize) {
        for _ in 0..steps {
            let number = self.rng.below(self.clients.len() as u64) as usize;
            match self.rng.below(40) {
                0 => self.kill(),
                1 => self.vanish(number),
                2 => self.world.pass(1 + self.rng.next() % 20_000),
                3 => self.leave(number),
                4..=6 => drop(self.world.settle_one()),
                7..=10 => self.world.pass(self.rng.next() % 1_000),
                _ => self.act(number),
            }
        }
    }

    fn act(&mut self, number: usize) {
        let mut client = self.clients[number].clone();
        match client.doing.clone() {
            Doing::Idle => self.join(&mut client),
            Doing::Joining(waiter) => self.has_joined(&mut client, waiter),
            Doing::Syncing(waiter) => self.has_synced(&mut client, waiter),
            Doing::Working => self.work(&mut client),
        }
        self.clients[number] = client;
    }

    fn join(&mut self, client: &mut Client) {
        // Eager and cooperative ones, with changing interests.
        let topics: &[&str] = if self.rng.below(4) == 0 { &["t", "u"] } else { &["t"] };
        let request = JoinGroupRequest {
            group_instance_id: client.instance.as_deref().map(Str::from),
            protocols: vec![protocol("range", topics)],
            ..join_request(&client.id)
        };
        client.doing = Doing::Joining(self.world.join_as(client.version, &request));
    }

    fn has_joined(&mut self, client: &mut Client, waiter: Waiter) {
        if self.world.waiting.contains(&waiter) {
            return;
        }
        let joined = self.world.joined(waiter);
        client.doing = Doing::Idle;
        match joined.error_code {
            ErrorCode::None => {
                client.id = joined.member_id.to_string();
                client.generation = joined.generation_id;
                // A static member of version 5 that comes back is not told that it leads.
                let leads = joined.leader == joined.member_id && !joined.members.is_empty();
                let shares =
                    if leads && !joined.skip_assignment { share_out(&joined) } else { vec![] };
                let request = SyncGroupRequest {
                    group_instance_id: client.instance.as_deref().map(Str::from),
                    ..sync_request(&client.id, client.generation, &shares)
                };
                client.doing = Doing::Syncing(self.world.sync(&request));
            }
            ErrorCode::MemberIdRequired => client.id = joined.member_id.to_string(),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => client.id.clear(),
            ErrorCode::RebalanceInProgress => {}
            code => panic!("{code}"),
        }
    }

    fn has_synced(&mut self, client: &mut Client, waiter: Waiter) {
        if self.world.waiting.contains(&waiter) {
            return;
        }
        let synced = self.world.synced(waiter);
        client.doing = Doing::Idle;
        match synced.error_code {
            ErrorCode::None => {
                self.own(client, &synced.assignment);
                client.doing = Doing::Working;
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => client.id.clear(),
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => {}
            code => panic!("{code}"),
        }
    }

    fn own(&mut self, client: &Client, share: &[u8]) {
        // A static member goes by its name: it may have the share of who it was before.
        let name = client.instance.clone().unwrap_or_else(|| client.id.clone());
        let share = String::from_utf8(share.to_vec()).unwrap();
        for partition in share.split(',').filter(|partition| !partition.is_empty()) {
            let key = (client.generation + self.generations, partition.to_string());
            let owner = self.owners.entry(key).or_insert_with(|| name.clone());
            assert_eq!(*owner, name, "two have {partition} in generation {}", client.generation);
        }
    }

    fn work(&mut self, client: &mut Client) {
        let code = if self.rng.below(2) == 0 {
            self.world.heartbeat(&client.id, client.generation)
        } else {
            self.committed += 1;
            let context = commit_context(&client.id, client.generation);
            let asked = [asked("t", 0, self.committed)];
            let done = self.world.step(|groups, turn| groups.commit(&context, &asked, turn));
            done.map_or_else(|code| code, |codes| codes[0])
        };
        match code {
            ErrorCode::None => {}
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => {
                client.doing = Doing::Idle;
            }
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                client.id.clear();
                client.doing = Doing::Idle;
            }
            code => panic!("{code}"),
        }
    }

    /// The process dies; a static one comes back under its name.
    fn vanish(&mut self, number: usize) {
        let client = &mut self.clients[number];
        (client.doing, client.generation) = (Doing::Idle, -1);
        client.id.clear();
    }

    fn leave(&mut self, number: usize) {
        let client = self.clients[number].clone();
        let instance = client.instance.as_deref();
        if !client.id.is_empty() {
            self.world.leave(&[(&client.id, instance)]);
        }
    }

    /// kill -9: what is not durable is lost, and so are all answers under way.
    fn kill(&mut self) {
        let lost = self.world.offset();
        self.world.pending.clear();
        self.world.coordinator = self.world.reread();
        self.world.waiting.clear();
        self.world.answers.clear();
        let kept = self.world.offset();
        assert_eq!(kept, lost, "what was visible is durable");
        for client in &mut self.clients {
            if matches!(client.doing, Doing::Joining(_) | Doing::Syncing(_)) {
                client.doing = Doing::Idle;
            }
        }
        // A generation whose shares were not stored is counted again.
        self.generations += 1_000_000;
        for client in &mut self.clients {
            client.doing = Doing::Idle;
        }
    }

    fn end(&mut self) {
        self.world.settle();
        assert_eq!(
            self.world.offset(),
            self.world.reread().offset(GROUP, "t", 0).map(|o| o.offset)
        );
        self.world.pass(3_600_000);
        self.world.settle();
        assert!(self.world.waiting.is_empty(), "{:?} wait for ever", self.world.waiting);
        let coordinator = &self.world.coordinator;
        assert_eq!((coordinator.members_bytes, coordinator.wake()), (0, None));
        assert!(coordinator.groups.values().all(|slot| slot.group.is_empty()));
        let old = self.world.offset();
        self.world.pass(8 * 24 * 3_600_000);
        self.world.take(grow_old);
        assert_eq!(self.world.coordinator.offset_count(), 0, "{old:?} is kept");
        assert_eq!(self.world.reread().group_count(), 0);
    }
}

/// What a leader does: every partition to one member.
fn share_out(joined: &JoinGroupResponse) -> Vec<(String, String)> {
    let members = joined.members.len() as u64;
    let share = |number: u64| {
        let own = (0..PARTITIONS).filter(|partition| partition % members == number);
        own.map(|partition| partition.to_string()).collect::<Vec<_>>().join(",")
    };
    let ids = joined.members.iter().map(|member| member.member_id.to_string());
    ids.zip(0..).map(|(id, number)| (id, share(number))).collect()
}

#[test]
fn clients_at_random() {
    for seed in 0..400 {
        let run = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            run.play(400);
            run.end();
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}
