//! The catalogue's own things: archives of uploaded charts, the chart repository that plain `helm` reads, secrets of other
//! repositories.
//!
//! In: archives that `api/apps` was sent, requests for `/charts/PROJECT/…`. Out: the same archives, an `index.yaml` made from
//! the database. What a version is, and who may publish one, is decided in `api/apps` and `access`; rows are kept by `store`.
//! Never: a chart's templates are not run, an archive is never changed.

mod archives;
mod facts;
mod indexes;
mod repository;
mod seal;
mod time;
mod unpacker;

pub use archives::Archives;
pub use facts::{ChartFacts, Facts, FactsError, Known};
pub use repository::{Charts, router};
pub use seal::{Seal, SealError};
pub use unpacker::{UnpackError, Unpacker};
