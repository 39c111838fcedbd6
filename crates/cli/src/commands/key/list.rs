use anyhow::Result;
use c7n_api::SshKey;

use super::Global;
use crate::output;

pub async fn run(global: &Global) -> Result<()> {
    let keys: Vec<SshKey> = global.client()?.get(&["me", "keys"], &[]).await?;
    output::print_list(global.output, &keys)
}
