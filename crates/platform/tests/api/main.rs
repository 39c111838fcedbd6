//! The REST API, asked over HTTP, of a real platform with a data folder of its own.

mod access;
mod clusters;
mod commands;
mod environments;
mod events;
mod git;
mod lists;
mod openapi;
mod projects;
mod server;
mod start;
