//! A pseudo-terminal with a program in it, as a person's window is.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};

use crate::stack::eventually;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Terminal {
    master: File,
    /// So that what is set stays when the program has gone.
    slave: File,
    before: Termios,
    shown: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Terminal {
    /// Starts it as the leader of a session of its own, whose terminal this is.
    pub fn start(command: &Command, columns: u16, rows: u16) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let slave = File::options().read(true).write(true).open(&name)?;
        let master = File::from(master);
        resize(&master, columns, rows)?;
        let before = tcgetattr(&slave)?;
        let mut with_session = Command::new("setsid");
        with_session.arg("--ctty").arg(command.as_std().get_program());
        with_session.args(command.as_std().get_args());
        for (name, value) in command.as_std().get_envs() {
            match value {
                Some(value) => with_session.env(name, value),
                None => with_session.env_remove(name),
            };
        }
        let end = || -> Result<Stdio> { Ok(OwnedFd::from(slave.try_clone()?).into()) };
        let child = with_session
            .stdin(end()?)
            .stdout(end()?)
            .stderr(end()?)
            .kill_on_drop(true)
            .spawn()?;
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let (book, mut screen) = (shown.clone(), master.try_clone()?);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut chunk) {
                book.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&chunk[..count]);
            }
        });
        Ok(Self {
            master,
            slave,
            before,
            shown,
            child,
        })
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    pub fn type_in(&mut self, text: &str) -> Result<()> {
        Ok(self.master.write_all(text.as_bytes())?)
    }

    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        resize(&self.master, columns, rows)
    }

    /// Until this has been shown so many times.
    pub async fn shows_times(&self, text: &str, times: usize) -> Result<()> {
        eventually(&format!("the terminal shows {text:?}"), PATIENCE, || async {
            let shown = self.shown();
            ensure!(shown.matches(text).count() >= times, "it shows {shown:?}");
            Ok(())
        })
        .await
    }

    pub async fn shows(&self, text: &str) -> Result<()> {
        self.shows_times(text, 1).await
    }

    /// Types a command again and again until this is shown: a shell may not be there yet, or a size not known yet.
    pub async fn answers(&mut self, command: &str, text: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.type_in(command)?;
            for _ in 0..20 {
                if self.shown().contains(text) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "{command:?} is not answered by {text:?}: {:?}",
                self.shown()
            );
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).context("it has ended")?;
        Ok(kill_process(pid, signal)?)
    }

    pub async fn ends(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.with_context(|| format!("it does not end: {:?}", self.shown()))??)
    }

    pub fn is_raw(&self) -> Result<bool> {
        Ok(!tcgetattr(&self.slave)?
            .local_modes
            .contains(rustix::termios::LocalModes::ICANON))
    }

    /// Everything as it was before.
    pub fn check_restored(&self) -> Result<()> {
        let now = tcgetattr(&self.slave)?;
        ensure!(
            now.local_modes == self.before.local_modes
                && now.input_modes == self.before.input_modes
                && now.output_modes == self.before.output_modes
                && now.control_modes == self.before.control_modes,
            "the terminal is {now:?}, and was {:?}",
            self.before
        );
        Ok(())
    }
}

fn resize(master: &File, columns: u16, rows: u16) -> Result<()> {
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(master, size)?)
}
