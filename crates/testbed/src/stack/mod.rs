//! The product as its users have it: the compiled programs, driven by the command line, `git` and `kubectl`.
//!
//! Tests, the demo and the benchmarks share this. Nothing here looks inside a program: what cannot be seen from outside is
//! not tested here.

mod agent;
mod binaries;
mod chart_server;
pub mod charts;
mod cli;
mod eventually;
mod join;
mod kubectl;
mod process;
mod registry;
mod server;
mod tls_end;
mod working_copy;

pub use agent::{Agent, AgentOptions};
pub use binaries::Binaries;
pub use chart_server::{ChartServer, Fault, Received};
pub use cli::Cli;
pub use eventually::eventually;
pub use join::{Joining, cluster_becomes};
pub use kubectl::Kubectl;
pub use process::Process;
pub use registry::Registry;
pub use server::{FirstRun, Server, ServerOptions, free_address};
pub use tls_end::{Authority, OTHER_NAME, TlsEnd, each_connection};
pub use working_copy::{Access, WorkingCopy};
