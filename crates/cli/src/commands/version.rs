use anyhow::Result;

use super::Global;

pub async fn run(global: &Global) -> Result<()> {
    println!("c7n     {}", env!("CARGO_PKG_VERSION"));
    let Ok(client) = global.client() else {
        return Ok(());
    };
    match client.get::<serde_json::Value>(&["openapi.json"], &[]).await {
        Ok(document) => println!(
            "server  {}",
            document["info"]["version"].as_str().unwrap_or("unknown")
        ),
        Err(error) => eprintln!("server  {error:#}"),
    }
    Ok(())
}
