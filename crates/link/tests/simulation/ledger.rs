//! Which commands a process has seen, so that one that is delivered twice is carried out once. The real agent keeps the same
//! on its disk.

use std::collections::HashMap;

use c7n_link::messages::CommandResult;

#[derive(Default)]
pub struct Ledger {
    commands: HashMap<String, Option<CommandResult>>,
}

pub enum Entry {
    /// Carry it out.
    Fresh,
    /// It is being carried out; its result will come.
    Running,
    /// It has been carried out; say this again.
    Done(CommandResult),
}

impl Ledger {
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

    pub fn finish(&mut self, result: CommandResult) {
        self.commands.insert(result.command_id.clone(), Some(result));
    }
}
