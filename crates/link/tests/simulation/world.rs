//! Weather, time and the checker.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::agent::{Agent, Cluster, Served};
use super::dice::Dice;
use super::line::Line;
use super::platform::{Commit, Database};
use super::words::{KINDS, Name, command, is_numbered, state, wanted};

pub struct World {
    dice: Dice,
    now: u64,
    with_digests: bool,
    cluster: Cluster,
    database: Database,
    /// The last one is the one that counts.
    agents: Vec<Agent>,
    lines: Vec<Line>,
    /// Frames that were lost with their connection.
    stale: Vec<Bytes>,
    next_version: u64,
    next_command: u64,
    processes: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let with_digests = seed.is_multiple_of(2);
        Self {
            dice: Dice(seed),
            now: 0,
            with_digests,
            cluster: Cluster::default(),
            database: Database::default(),
            agents: vec![Agent::new(0, &Cluster::default(), with_digests)],
            lines: Vec::new(),
            stale: Vec::new(),
            next_version: 0,
            next_command: 0,
            processes: 0,
        }
    }

    pub fn play(mut self) {
        for _ in 0..600 {
            self.step();
            self.nothing_is_lost();
            self.no_wish_is_lost();
        }
        self.work_goes_on_while_all_come_back();
        self.weather_clears();
        self.check();
        self.quiet_lasts();
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..18 => self.change_object(),
            18..21 => self.delete_object(),
            21..22 => self.delete_kind(),
            22..25 => self.want_more(),
            25..29 => self.command(),
            29..32 => self.finish_one(),
            32..58 => self.carry_some(),
            58..76 => drop(self.commit_some()),
            76..78 => self.database_fails(),
            78..83 => self.break_a_line(),
            83..88 => self.dial(),
            88..90 => self.crash_platform(),
            90..91 => self.crash_agent(),
            91..92 => self.overlap_agent(),
            92..94 => self.hear_late_word(),
            94..96 => self.hear_double(),
            96 => {
                let ms = self.dice.roll(30_000);
                self.tick(ms);
            }
            _ => {
                let ms = self.dice.roll(3000);
                self.tick(ms);
            }
        }
    }

    // --- what happens in the world

    fn change_object(&mut self) {
        let of_kind = KINDS[self.dice.roll(KINDS.len() as u64) as usize];
        let name = (of_kind, format!("object-{}", self.dice.roll(5)));
        self.next_version += 1;
        let before = self.cluster.insert(name.clone(), self.next_version);
        for agent in &mut self.agents {
            agent.sees(&name, before, Some(self.next_version));
        }
    }

    fn delete_object(&mut self) {
        let Some(index) = self.dice.index(self.cluster.len()) else {
            return;
        };
        let name: Name = self.cluster.keys().nth(index).expect("it is below").clone();
        let before = self.cluster.remove(&name);
        for agent in &mut self.agents {
            agent.sees(&name, before, None);
        }
    }

    fn delete_kind(&mut self) {
        let of_kind = KINDS[self.dice.roll(KINDS.len() as u64) as usize];
        let names: Vec<Name> = self
            .cluster
            .keys()
            .filter(|name| name.0 == of_kind)
            .cloned()
            .collect();
        for name in names {
            let before = self.cluster.remove(&name);
            for agent in &mut self.agents {
                agent.sees(&name, before, None);
            }
        }
    }

    fn want_more(&mut self) {
        self.database.wanted += 1;
        let generation = self.database.wanted;
        for end in self.lines.iter_mut().filter_map(|line| line.platform.as_mut()) {
            end.session.post(wanted(generation));
        }
    }

    fn command(&mut self) {
        self.next_command += 1;
        let id = format!("command-{}", self.next_command);
        self.database.commands.insert(id.clone(), None);
        for end in self.lines.iter_mut().filter_map(|line| line.platform.as_mut()) {
            end.session.post(command(&id));
        }
    }

    fn finish_one(&mut self) {
        for agent in &mut self.agents {
            if let Some(index) = self.dice.index(agent.running.len()) {
                agent.finish(index);
            }
        }
    }

    /// The newest agent opens a connection, if it believes that it has none.
    fn dial(&mut self) {
        let index = self.lines.len();
        let agent = self.agents.last_mut().expect("there is one");
        if agent.line.is_none() {
            self.lines.push(Line::new(self.now));
            agent.dial(self.now, index);
        }
    }

    fn break_a_line(&mut self) {
        let Some(index) = self.dice.index(self.lines.len().min(3)) else {
            return;
        };
        // The newest are the most interesting.
        let index = self.lines.len() - 1 - index;
        match self.dice.roll(4) {
            0 => {
                self.platform_leaves(index);
                self.agent_leaves(index);
            }
            // Half-open: the platform still reads what is on the way.
            1 => self.agent_leaves(index),
            2 => self.platform_leaves(index),
            _ => {
                self.lines[index].black_hole = true;
            }
        }
    }

    fn platform_leaves(&mut self, index: usize) {
        let line = &mut self.lines[index];
        line.platform = None;
        self.stale.extend(line.to_platform.drain(..));
    }

    fn agent_leaves(&mut self, index: usize) {
        for agent in self.agents.iter_mut().filter(|agent| agent.line == Some(index)) {
            agent.hang_up();
        }
        self.agents
            .retain(|agent| !(agent.retired && agent.line.is_none()));
        let line = &mut self.lines[index];
        line.hung_up = true;
        self.stale.extend(line.to_agent.drain(..));
        self.stale.truncate(200);
    }

    fn crash_platform(&mut self) {
        for index in 0..self.lines.len() {
            self.platform_leaves(index);
            // Its host may have vanished with it, and then nobody tells the agent.
            if self.dice.roll(3) > 0 {
                self.agent_leaves(index);
            }
        }
    }

    fn crash_agent(&mut self) {
        if self.with_digests {
            let lines: Vec<usize> = self.agents.drain(..).filter_map(|agent| agent.line).collect();
            self.start_agent();
            for index in lines {
                self.agent_leaves(index);
            }
        }
    }

    /// A second process of the same cluster comes while the first still speaks.
    fn overlap_agent(&mut self) {
        if self.with_digests {
            for agent in &mut self.agents {
                agent.retired = true;
            }
            self.agents.retain(|agent| agent.line.is_some());
            self.start_agent();
        }
    }

    fn start_agent(&mut self) {
        self.processes += 1;
        self.agents
            .push(Agent::new(self.processes, &self.cluster, self.with_digests));
    }

    /// Words of dead connections, farewells among them, reach sessions that they are not for.
    fn hear_late_word(&mut self) {
        let Some(index) = self.dice.index(self.stale.len()) else {
            return;
        };
        let word = self.stale[index].clone();
        if !is_numbered(&word) {
            return;
        }
        let agents = self.agents.iter_mut().map(|agent| &mut agent.session);
        let ends = self.lines.iter_mut().filter_map(|line| line.platform.as_mut());
        // Before its hello nobody is let off anything.
        let ends = ends
            .map(|end| &mut end.session)
            .filter(|session| session.is_open());
        for session in agents
            .chain(ends)
            .filter(|session| !is_of(&word, session.epoch()))
        {
            let (open, patience) = (session.is_open(), session.next_deadline());
            session
                .receive(self.now, &word)
                .expect("a late word of another session is ignored");
            assert_eq!(
                (session.is_open(), session.next_deadline()),
                (open, patience),
                "a late word changed a session"
            );
        }
    }

    fn hear_double(&mut self) {
        for line in &mut self.lines {
            for queue in [&mut line.to_platform, &mut line.to_agent] {
                if let Some(word) = queue.front().cloned()
                    && is_numbered(&word)
                {
                    queue.push_front(word);
                }
            }
        }
    }

    fn database_fails(&mut self) {
        for index in 0..self.lines.len() {
            let Some(end) = &mut self.lines[index].platform else {
                continue;
            };
            if !end.waiting.is_empty() {
                end.session
                    .refuse(c7n_link::messages::ByeCode::Overloaded, "the disk is full", 100);
            }
        }
    }

    fn tick(&mut self, ms: u64) {
        self.now += ms;
        for agent in &mut self.agents {
            agent.session.tick(self.now);
        }
        for end in self.lines.iter_mut().filter_map(|line| line.platform.as_mut()) {
            end.session.tick(self.now);
        }
        self.serve();
    }

    // --- the shells

    fn carry_some(&mut self) {
        for _ in 0..=self.dice.roll(4) {
            self.carry();
        }
    }

    /// On every connection one frame each way, or none, as the dice will.
    fn carry(&mut self) {
        self.serve();
        for index in 0..self.lines.len() {
            let line = &mut self.lines[index];
            if line.black_hole {
                self.stale.extend(line.to_platform.drain(..));
                self.stale.extend(line.to_agent.drain(..));
                self.stale.truncate(200);
                continue;
            }
            let (up, down) = (self.dice.roll(4) > 0, self.dice.roll(4) > 0);
            if up && let Some(end) = &mut line.platform {
                match line.to_platform.pop_front() {
                    Some(frame) => end
                        .session
                        .receive(self.now, &frame)
                        .expect("the agent speaks well"),
                    None if line.hung_up => line.platform = None,
                    None => {}
                }
            }
            if !down {
                continue;
            }
            let frame = line.to_agent.pop_front();
            let closed = frame.is_none() && line.platform.is_none();
            let agent = self.agents.iter_mut().find(|agent| agent.line == Some(index));
            if let (Some(agent), Some(frame)) = (agent, frame) {
                agent
                    .session
                    .receive(self.now, &frame)
                    .expect("the platform speaks well");
            } else if closed {
                self.agent_leaves(index);
            }
        }
        self.serve();
    }

    fn serve(&mut self) {
        for index in 0..self.lines.len() {
            let line = &mut self.lines[index];
            if let Some(end) = &mut line.platform
                && let Served::Closed = end.serve(self.now, &mut self.database, &mut line.to_agent)
            {
                self.platform_leaves(index);
            }
            let line = &mut self.lines[index];
            if let Some(agent) = self.agents.iter_mut().find(|agent| agent.line == Some(index))
                && let Served::Closed = agent.serve(&mut line.to_platform)
            {
                self.agent_leaves(index);
            }
        }
    }

    fn commit_some(&mut self) -> bool {
        let mut busy = false;
        for agent in &mut self.agents {
            busy |= agent.commit(&self.cluster);
        }
        for index in 0..self.lines.len() {
            let Some(end) = &mut self.lines[index].platform else {
                continue;
            };
            match end.commit(&mut self.database) {
                Commit::Nothing => {}
                Commit::Done => busy = true,
                Commit::Fenced => {
                    end.session
                        .refuse(c7n_link::messages::ByeCode::Superseded, "there is a newer one", 0);
                    busy = true;
                }
            }
        }
        busy
    }

    // --- the checker

    /// Both sides compare what they have while it changes, and after that nothing breaks that would make them compare again.
    fn work_goes_on_while_all_come_back(&mut self) {
        // Otherwise what is half-open has to be found by the sessions themselves.
        if self.dice.roll(2) == 0 {
            for index in 0..self.lines.len() {
                self.platform_leaves(index);
                self.agent_leaves(index);
            }
        }
        for _ in 0..60 {
            self.dial();
            match self.dice.roll(8) {
                0 => self.change_object(),
                1 => self.delete_object(),
                2..4 => drop(self.commit_some()),
                4 => self.tick(100),
                _ => self.carry(),
            }
            self.nothing_is_lost();
            self.no_wish_is_lost();
        }
    }

    /// Everything must now come to rest by itself.
    fn weather_clears(&mut self) {
        for round in 0.. {
            assert!(round < 5000, "it never comes to rest");
            self.dial();
            self.carry();
            let busy = self.commit_some();
            self.finish_one();
            self.tick(100);
            if !busy && self.rests() {
                return;
            }
        }
    }

    fn rests(&self) -> bool {
        let [agent] = &self.agents[..] else { return false };
        let Some(line) = agent.line.map(|index| &self.lines[index]) else {
            return false;
        };
        let Some(end) = &line.platform else { return false };
        agent.session.is_open()
            && end.session.is_open()
            && agent.session.outbox().is_empty()
            && end.session.outbox().is_empty()
            && agent.running.is_empty()
            && end.waiting.is_empty()
            && agent.waiting.is_empty()
            && line.to_agent.is_empty()
            && line.to_platform.is_empty()
    }

    /// What the database does not have is still to be said: acknowledgements never run ahead of the database.
    fn nothing_is_lost(&self) {
        if self.with_digests {
            return;
        }
        let agent = &self.agents[0];
        for name in self.cluster.keys().chain(self.database.objects.keys()) {
            let stored = self.cluster.get(name) == self.database.objects.get(name);
            assert!(
                stored || agent.session.outbox().contains(&state(name, None).topic()),
                "{name:?} is lost"
            );
        }
        for (id, result) in &self.database.commands {
            let topic = c7n_link::messages::Topic::Result(id.clone());
            assert!(
                result.is_some()
                    || !agent.carried_out.contains_key(id)
                    || agent.session.outbox().contains(&topic),
                "the result of {id} is lost"
            );
        }
    }

    /// The same the other way round, while a session is open: what the agent has not taken in is still to be said.
    fn no_wish_is_lost(&self) {
        for agent in &self.agents {
            let Some(line) = agent.line.map(|index| &self.lines[index]) else {
                continue;
            };
            let Some(end) = line.platform.as_ref().filter(|end| end.session.is_open()) else {
                continue;
            };
            let said = end.session.outbox();
            assert!(
                agent.wanted == self.database.wanted || said.contains(&wanted(0).topic()),
                "a wish is lost"
            );
            for id in self.database.open_commands() {
                assert!(
                    agent.knows(&id) || said.contains(&command(&id).topic()),
                    "{id} is lost"
                );
            }
        }
    }

    fn check(&self) {
        let agent = self.agents.last().expect("there is one");
        assert_eq!(
            self.database.objects, self.cluster,
            "the platform tells what the cluster holds"
        );
        assert_eq!(
            agent.wanted, self.database.wanted,
            "the agent knows the newest wish"
        );
        let open = self.database.open_commands();
        assert!(open.is_empty(), "commands without a result: {open:?}");
        assert!(
            agent.carried_out.values().all(|times| *times == 1),
            "a process carried a command out twice"
        );
        let newest: BTreeSet<u64> = self.agents.iter().map(|agent| agent.session.epoch()).collect();
        assert_eq!(newest, BTreeSet::from([self.database.epoch]));
    }

    /// Heartbeats alone keep a session that has nothing to say.
    fn quiet_lasts(&mut self) {
        let epoch = self.database.epoch;
        for _ in 0..120 {
            self.tick(500);
            self.carry();
        }
        assert_eq!(
            self.database.epoch, epoch,
            "a quiet session was given up without need"
        );
        assert!(self.agents.iter().all(|agent| agent.session.is_open()));
    }
}

fn is_of(word: &[u8], epoch: u64) -> bool {
    use prost::Message;
    c7n_link::messages::Frame::decode(word).is_ok_and(|frame| frame.epoch == epoch)
}
