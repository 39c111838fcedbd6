//! `c7n logs`: of a pod as its container wrote them, of many pods line by line behind their names.

mod printer;
mod since;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use c7n_api::{LogTarget, ReadLogs};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use super::{Global, InEnvironment};
use crate::output::now_ms;
use crate::streams::{Line, Logs, Out, Place, Target, Writer, is_broken_pipe};
use printer::Printer;
use since::Since;

/// How long others wait for the end of a long line.
const LONG_LINE: Duration = Duration::from_secs(1);
/// Between two words of life while nobody takes what was read.
const LIFE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n logs -p shop -e staging web                      all pods of instance web, line by line
  c7n logs -p shop -e staging web -f --tail 20         and what comes, also of pods that come
  c7n logs -p shop -e staging web --all                every container, those of the start too
  c7n logs -p shop -e staging web-5d9c7b-x2x4z         one pod, the bytes as they are
  c7n logs -p shop -e staging web-5d9c7b-x2x4z --previous       of the container that ran before
  c7n logs -p shop -e staging -l app=web --since 5m --timestamps")]
pub struct LogsCommand {
    /// An instance or a pod; `instance/NAME` and `pod/NAME` say which
    #[arg(
        value_name = "INSTANCE|POD",
        required_unless_present = "selector",
        conflicts_with = "selector"
    )]
    name: Option<String>,
    #[command(flatten)]
    place: InEnvironment,
    /// Go on with what comes, also of pods that come; a broken connection is made again without gap and without doubled line
    #[arg(long, short)]
    follow: bool,
    /// Of the container that ran before the present one (`-p` of kubectl, which is the project here)
    #[arg(long, conflicts_with = "follow")]
    previous: bool,
    /// Nothing older: 90s, 5m, 1h30m, 2d, or a time as 2026-11-25T21:00:00Z
    #[arg(long, value_name = "SPAN|TIME", value_parser = since::parse)]
    since: Option<Since>,
    /// Of each container no more than so many lines of what is there already
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// This container, also an init or an ephemeral one
    #[arg(long, short, value_name = "NAME")]
    container: Option<String>,
    /// Every container of every pod, those of the start and those for debugging too
    #[arg(long, visible_alias = "all", conflicts_with = "container")]
    all_containers: bool,
    /// Pods with these labels, for instance `app=web,tier!=cache`
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,
    /// Each line begins with its time
    #[arg(long)]
    timestamps: bool,
}

pub async fn run(global: &Global, command: LogsCommand) -> Result<ExitCode> {
    let place = command.place.place(global)?;
    let target = target(&place, &command).await?;
    // One source at a time: its bytes are shown as they are.
    let straight = matches!(target, LogTarget::Pod(_)) && !command.all_containers;
    let wish = ReadLogs {
        target,
        container: command.container,
        all_containers: command.all_containers,
        previous: command.previous,
        follow: command.follow,
        timestamps: command.timestamps,
        since_ms: command.since.map(|since| since.ms(now_ms())),
        tail: command.tail,
        from: Vec::new(),
    };
    let mut screen = Screen {
        logs: Logs::open(place, wish).await?,
        writer: Writer::start()?,
        printer: (!straight).then(|| Printer::new(colours())),
        ready: Vec::new(),
        held_since: None,
    };
    let shown = screen.show().await;
    let failed = screen.logs.has_failed();
    screen.logs.leave().await;
    match shown {
        Err(error) if error.downcast_ref().is_some_and(is_broken_pipe) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
        Ok(()) if failed => bail!("not every log could be read; what is missing is told above"),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

async fn target(place: &Place, command: &LogsCommand) -> Result<LogTarget> {
    match (&command.name, &command.selector) {
        (Some(name), _) => Ok(match place.find(name).await? {
            Target::Pod(pod) => LogTarget::Pod(pod),
            Target::Instance(instance) => LogTarget::Instance(instance),
        }),
        (None, Some(selector)) => Ok(LogTarget::Selector(selector.clone())),
        (None, None) => bail!("of what?\n  next: name an instance or a pod, or select pods with `-l`"),
    }
}

/// Only for a person (<https://no-color.org>).
fn colours() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
}

struct Screen {
    logs: Logs,
    writer: Writer,
    /// `None`: the bytes go straight through.
    printer: Option<Printer>,
    /// Lines that were printed and not given to the writer yet; no more than what one frame makes of it.
    ready: Vec<u8>,
    held_since: Option<Instant>,
}

impl Screen {
    /// Until everything was said and written.
    async fn show(&mut self) -> Result<()> {
        let mut life = tokio::time::interval(LIFE);
        life.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stalled = !self.writer.has_room();
            let held = self.held_since;
            let too_long = async {
                match held {
                    Some(since) => sleep_until(since + LONG_LINE).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                written = self.writer.written() => written?,
                line = self.logs.next(), if !stalled => {
                    if self.take(line?)? {
                        break;
                    }
                }
                () = too_long, if !stalled => {
                    if let Some(printer) = &mut self.printer {
                        printer.release(&mut self.ready);
                    }
                }
                _ = life.tick(), if stalled => self.logs.show_life().await,
            }
            self.hand_on()?;
        }
        if let Some(printer) = &mut self.printer {
            printer.finish(&mut self.ready);
        }
        while !self.writer.has_room() {
            self.writer.written().await?;
        }
        self.hand_on()?;
        Ok(self.writer.flush().await?)
    }

    /// True at the end.
    fn take(&mut self, line: Line) -> Result<bool> {
        match line {
            Line::End => return Ok(true),
            Line::Word(word) => eprintln!("c7n: {word}"),
            Line::Bytes(number, bytes) => match (&mut self.printer, self.logs.source(number)) {
                (Some(printer), Some(source)) => {
                    printer.name(number, &source.pod, &source.container);
                    printer.bytes(number, &bytes, &mut self.ready);
                }
                _ => self.writer.write(Out::Stdout(bytes))?,
            },
            Line::Ended(number) => {
                if let Some(printer) = &mut self.printer {
                    printer.ended(number, &mut self.ready);
                }
            }
        }
        Ok(false)
    }

    fn hand_on(&mut self) -> Result<()> {
        let held = self.printer.as_ref().is_some_and(Printer::holds_back);
        self.held_since = held.then(|| self.held_since.unwrap_or_else(Instant::now));
        if !self.ready.is_empty() && self.writer.has_room() {
            self.writer
                .write(Out::Stdout(Bytes::from(std::mem::take(&mut self.ready))))?;
        }
        Ok(())
    }
}
