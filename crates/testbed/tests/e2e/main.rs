//! The whole product on real parts: API server, Git, SSH, the compiled programs, killed and restarted as in life.
//!
//! One file per promise. The clusters are started by `cargo xtask test`; without them these tests fail and say so.

mod bad_input;
mod between;
mod big_messages;
mod causes;
mod charts;
mod cli_streams;
mod command_line;
mod commands;
mod crashes;
mod deletions;
mod deploys;
mod doctor;
mod drift;
mod every_kind;
mod images;
mod joining;
mod leading;
mod loops;
mod outside;
mod own_namespaces;
mod proxied;
mod releases;
mod stand;
mod strangers;
mod streams_agent;
mod two_clusters;
