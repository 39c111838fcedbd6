//! The terminal: raw while a terminal of a pod is shown in it, and back to what it was however that ends.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use c7n_stream::Size;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the terminal was; here, so that a panic finds it too.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw until dropped. A panic puts the terminal back before it is told.
pub struct Raw(());

impl Raw {
    /// Standard input must be a terminal.
    pub fn enter() -> Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                told(panic);
            }));
        });
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).context("reading how the terminal is set")?;
        let mut raw = before.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let guard = Self(());
        tcsetattr(&stdin, OptionalActions::Now, &raw).context("setting the terminal to raw")?;
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
    if let Some(before) = before {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
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
