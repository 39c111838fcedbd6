//! Which commands this agent has seen, so that one that is delivered twice is carried out once.

use std::collections::{HashMap, VecDeque};

use crate::messages::CommandResult;

/// Remembers the last commands, those that run always. The platform sends a command again only until it has stored its
/// result, so the memory need not reach far.
#[derive(Debug)]
pub struct CommandLedger {
    capacity: usize,
    commands: HashMap<String, Option<CommandResult>>,
    finished: VecDeque<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Carry it out.
    Fresh,
    /// It is being carried out; its result will come.
    Running,
    /// It has been carried out; say this again.
    Done(CommandResult),
}

impl CommandLedger {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            commands: HashMap::new(),
            finished: VecDeque::new(),
        }
    }

    pub fn begin(&mut self, command_id: &str) -> Entry {
        match self.commands.get(command_id) {
            Some(None) => Entry::Running,
            Some(Some(result)) => Entry::Done(result.clone()),
            None => {
                self.commands.insert(command_id.to_owned(), None);
                Entry::Fresh
            }
        }
    }

    /// The first result of a command stands: it may have been said already.
    pub fn finish(&mut self, result: CommandResult) {
        if matches!(self.commands.get(&result.command_id), Some(Some(_))) {
            return;
        }
        self.finished.push_back(result.command_id.clone());
        self.commands.insert(result.command_id.clone(), Some(result));
        while self.finished.len() > self.capacity {
            if let Some(oldest) = self.finished.pop_front() {
                self.commands.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_fresh_once() {
        let mut ledger = CommandLedger::new(2);
        assert_eq!(ledger.begin("a"), Entry::Fresh);
        assert_eq!(ledger.begin("a"), Entry::Running);
        let result = CommandResult {
            command_id: "a".into(),
            message: "done".into(),
            ..CommandResult::default()
        };
        ledger.finish(result.clone());
        assert_eq!(ledger.begin("a"), Entry::Done(result));
    }

    #[test]
    fn a_command_has_one_result_and_one_place() {
        let result = |id: &str, message: &str| CommandResult {
            command_id: id.into(),
            message: message.into(),
            ..CommandResult::default()
        };
        let mut ledger = CommandLedger::new(2);
        ledger.begin("a");
        ledger.finish(result("a", "first"));
        ledger.finish(result("a", "second"));
        ledger.begin("b");
        ledger.finish(result("b", ""));
        assert_eq!(ledger.begin("a"), Entry::Done(result("a", "first")));
    }

    #[test]
    fn running_commands_are_never_forgotten() {
        let mut ledger = CommandLedger::new(1);
        ledger.begin("long");
        for id in ["x", "y", "z"] {
            ledger.begin(id);
            ledger.finish(CommandResult {
                command_id: id.into(),
                ..CommandResult::default()
            });
        }
        assert_eq!(ledger.begin("long"), Entry::Running);
        assert_eq!(ledger.begin("x"), Entry::Fresh, "the memory is bounded");
    }
}
