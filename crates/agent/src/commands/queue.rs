//! Which command is next: in order for one object, fair between environments. Pure.
//!
//! Each environment has its line. Takes go round the environments; within one, the first command whose object is not
//! being worked on and has no earlier command in the line. Bounded per environment, so that one cannot starve the rest.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

#[derive(Debug)]
pub struct Queue<E, K, J> {
    lines: HashMap<E, VecDeque<(K, J)>>,
    /// The environments that have a line, in the order of their turns.
    turns: VecDeque<E>,
    busy: HashSet<(E, K)>,
    line_length: usize,
}

/// The line of this environment is full; the job comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<J>(pub J);

#[derive(Debug, PartialEq, Eq)]
pub struct Taken<E, K, J> {
    pub environment: E,
    pub key: K,
    pub job: J,
}

impl<E: Clone + Eq + Hash, K: Clone + Eq + Hash, J> Queue<E, K, J> {
    pub fn new(line_length: usize) -> Self {
        Self {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            busy: HashSet::new(),
            line_length,
        }
    }

    pub fn push(&mut self, environment: E, key: K, job: J) -> Result<(), Full<J>> {
        let line = self.lines.entry(environment.clone()).or_insert_with(|| {
            self.turns.push_back(environment);
            VecDeque::new()
        });
        if line.len() >= self.line_length {
            return Err(Full(job));
        }
        line.push_back((key, job));
        Ok(())
    }

    /// Takes the next job that may start now and marks its object as busy until [`Queue::done`].
    pub fn take(&mut self) -> Option<Taken<E, K, J>> {
        for turn in 0..self.turns.len() {
            let environment = self.turns[turn].clone();
            let Some(line) = self.lines.get_mut(&environment) else {
                continue;
            };
            let Some(position) = startable(line, &self.busy, &environment) else {
                continue;
            };
            let Some((key, job)) = line.remove(position) else {
                continue;
            };
            self.turns.remove(turn);
            if line.is_empty() {
                self.lines.remove(&environment);
            } else {
                self.turns.push_back(environment.clone());
            }
            self.busy.insert((environment.clone(), key.clone()));
            return Some(Taken {
                environment,
                key,
                job,
            });
        }
        None
    }

    /// The object is free again.
    pub fn done(&mut self, environment: E, key: K) {
        self.busy.remove(&(environment, key));
    }

    /// Takes out of the line what `chosen` says, in order.
    pub fn withdraw(&mut self, mut chosen: impl FnMut(&J) -> bool) -> Vec<J> {
        let mut out = Vec::new();
        for line in self.lines.values_mut() {
            for (key, job) in std::mem::take(line) {
                match chosen(&job) {
                    true => out.push(job),
                    false => line.push_back((key, job)),
                }
            }
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns
            .retain(|environment| self.lines.contains_key(environment));
        out
    }
}

fn startable<E: Clone + Eq + Hash, K: Clone + Eq + Hash, J>(
    line: &VecDeque<(K, J)>,
    busy: &HashSet<(E, K)>,
    environment: &E,
) -> Option<usize> {
    let mut passed: HashSet<&K> = HashSet::new();
    line.iter().position(|(key, _)| {
        let blocked = passed.contains(key) || busy.contains(&(environment.clone(), key.clone()));
        passed.insert(key);
        !blocked
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(jobs: &[(&'static str, &'static str, u32)]) -> Queue<&'static str, &'static str, u32> {
        let mut queue = Queue::new(100);
        for (environment, key, job) in jobs {
            queue.push(*environment, *key, *job).unwrap();
        }
        queue
    }

    fn jobs(queue: &mut Queue<&'static str, &'static str, u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.take().map(|taken| taken.job)).collect()
    }

    #[test]
    fn commands_for_one_object_start_one_after_the_other() {
        let mut queue = queue(&[("a", "web", 1), ("a", "web", 2), ("a", "db", 3)]);

        assert_eq!(jobs(&mut queue), [1, 3], "the second for web waits for the first");
        queue.done("a", "web");
        assert_eq!(jobs(&mut queue), [2]);
    }

    #[test]
    fn an_environment_with_many_commands_does_not_delay_another() {
        let mut queue = queue(&[
            ("a", "1", 1),
            ("a", "2", 2),
            ("a", "3", 3),
            ("b", "1", 10),
            ("c", "1", 20),
        ]);
        assert_eq!(jobs(&mut queue), [1, 10, 20, 2, 3]);
    }

    #[test]
    fn a_full_line_refuses_and_leaves_other_environments_open() {
        let mut queue = Queue::new(1);
        queue.push("a", "x", 1).unwrap();
        assert_eq!(queue.push("a", "y", 2), Err(Full(2)));
        assert_eq!(queue.push("b", "y", 3), Ok(()));
    }

    #[test]
    fn what_is_withdrawn_is_never_taken() {
        let mut queue = queue(&[("a", "x", 1), ("a", "y", 2), ("b", "z", 3)]);
        assert_eq!(queue.withdraw(|job| *job == 1), [1]);
        assert_eq!(queue.withdraw(|job| *job == 3), [3]);
        assert_eq!(jobs(&mut queue), [2]);
    }
}
