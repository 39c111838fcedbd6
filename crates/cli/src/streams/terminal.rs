//! The terminal: raw while a terminal of a pod is shown in it, and back to what it was however that ends.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use c7n_stream::Size;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The terminal, and what it was; here, so that a panic finds it too.
static BEFORE: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// Raw until dropped. A panic puts the terminal back before it is told.
pub struct Raw(());

impl Raw {
    /// Standard input must be a terminal.
    pub fn enter() -> Result<Self> {
        Self::of(io::stdin().as_fd().try_clone_to_owned()?)
    }

    fn of(terminal: OwnedFd) -> Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                told(panic);
            }));
        });
        let before = tcgetattr(&terminal).context("reading how the terminal is set")?;
        let mut raw = before.clone();
        raw.make_raw();
        let kept = (terminal.try_clone()?, before);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        let guard = Self(());
        tcsetattr(&terminal, OptionalActions::Now, &raw).context("setting the terminal to raw")?;
        Ok(guard)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((terminal, before)) = before {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
}

/// Of the terminal that shows the output, if there is one.
pub fn size() -> Option<Size> {
    fn of(terminal: impl AsFd + IsTerminal) -> Option<Size> {
        let size = terminal
            .is_terminal()
            .then(|| tcgetwinsize(terminal).ok())
            .flatten()?;
        Some(Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        })
    }
    let size = of(io::stdout()).or_else(|| of(io::stdin()))?;
    (size.columns > 0 && size.rows > 0).then_some(size)
}

/// Says when the size may have changed.
pub fn window_changes() -> Result<Signal> {
    signal(SignalKind::window_change()).context("listening for changes of the window")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::panic::catch_unwind;
    use std::sync::mpsc;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{ControlModes, InputModes, LocalModes, OutputModes};

    use super::*;

    type Modes = (InputModes, OutputModes, ControlModes, LocalModes);

    fn modes(terminal: &File) -> Modes {
        let set = tcgetattr(terminal).unwrap();
        (
            set.input_modes,
            set.output_modes,
            set.control_modes,
            set.local_modes,
        )
    }

    /// One test, because a process has one hook for panics and one terminal.
    #[test]
    fn the_terminal_is_put_back_however_its_user_ends() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        // As the program's own way to tell of a panic, which is there before the first guard is.
        let (told, tells) = mpsc::channel();
        let told = Mutex::new(told);
        let watched = slave.try_clone().unwrap();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match panic.payload_as_str() {
            Some("of this test") => told.lock().unwrap().send(modes(&watched)).unwrap(),
            _ => usual(panic),
        }));
        let raw = || Raw::of(slave.try_clone().unwrap().into()).unwrap();
        let before = modes(&slave);
        let is_raw = || !modes(&slave).3.intersects(LocalModes::ICANON | LocalModes::ECHO);

        let guard = raw();
        assert!(is_raw());
        drop(guard);
        assert!(modes(&slave) == before, "after an ordinary end");

        // Nothing is unwound yet when it is told, and the guard is still there.
        let guard = raw();
        assert!(is_raw());
        let caught = catch_unwind(|| panic!("of this test"));
        assert!(caught.is_err());
        assert!(
            tells.recv().unwrap() == before,
            "a panic must be told in a terminal that is as it was"
        );
        drop(guard);
        assert!(modes(&slave) == before);
    }
}
