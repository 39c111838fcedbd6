//! From the live objects of an environment to its instances: what people call an application, and how it is doing.
//!
//! In: the objects of one environment as the database has them, all at once, so that the order in which they came makes no
//! difference. Out: for each Helm release what is wanted, what was reached, its health, and one sentence that names the object
//! at the root of what is wrong; the same for what belongs to the environment itself.
//!
//! - `attribute`: whose an object is (pure)
//! - `root`: from an unwell instance down to the object that is to blame (pure)
//! - `fold`, `tree`: the instances of an environment, the objects of one (pure)
//! - `tell`: tells the readers of events what has changed, a moment after the objects have

mod attribute;
mod fold;
mod root;
mod tell;
#[cfg(test)]
mod tests;
mod tree;

pub use fold::fold;
pub use tell::Teller;
pub use tree::{detail, tree};
