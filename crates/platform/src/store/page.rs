//! Pages of what is listed newest first, by ids that grow with time.

use c7n_api::Page;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::StoreError;

/// Of `rows`, of which one more was asked for than `limit`: the page, and the id after which the next begins.
pub(super) fn page<T>(
    rows: &[SqliteRow],
    limit: u32,
    item: impl FnMut(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let shown = rows.len().min(limit as usize);
    let next = match rows.len() > shown {
        true => Some(rows[shown - 1].try_get("id")?),
        false => None,
    };
    let items = rows[..shown].iter().map(item).collect::<Result<_, _>>()?;
    Ok(Page { items, next })
}
