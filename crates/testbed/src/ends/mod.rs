//! The ends between which the agent's streams are, played: the platform with its person, and the API server.

pub mod api_server;
mod dice;
pub mod seam;

pub use dice::Dice;
