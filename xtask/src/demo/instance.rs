//! The last act: an application of Helm charts, whose deployment is a commit like any other.

use anyhow::{Result, ensure};
use c7n_testbed::stack::charts::{ChartFolder, write};

use super::story::{PROJECT, Shop};
use super::teller::Teller;

const ENVIRONMENT: &str = "production";
const INSTANCE: &str = "greeter";

impl Shop<'_> {
    /// Two versions are published, the first is deployed, the second takes its place.
    pub(super) async fn instance(&self, teller: &mut Teller) -> Result<()> {
        let cli = &self.cli;
        let chart = ChartFolder::fixture("web")?;
        cli.run(&["app", "create", "-p", PROJECT, "web"]).await?;
        for version in ["1.0.0", "1.1.0"] {
            let archive = write(&chart.clone().at_version(version)?.pack()?, self.folder)?;
            cli.run(&["app", "publish", "-p", PROJECT, &archive.to_string_lossy()])
                .await?;
        }
        teller.done("the chart web is an application of the project, in versions 1.0.0 and 1.1.0");

        let image = self
            .arguments
            .image
            .as_ref()
            .map(|image| format!("image={image}"));
        let mut deploy = vec!["deploy", "-p", PROJECT, "web", "1.0.0", "--env", ENVIRONMENT];
        deploy.extend(["--name", INSTANCE, "--set", "message=good morning"]);
        deploy.extend(image.iter().flat_map(|image| ["--set", image]));
        cli.run(&deploy).await?;
        teller.done(&format!(
            "c7n deploy: the instance {INSTANCE} is a commit, a Helm release, and healthy"
        ));

        cli.run(&["upgrade", "-p", PROJECT, INSTANCE, "1.1.0", "--env", ENVIRONMENT])
            .await?;
        teller.done("c7n upgrade: its second revision, with the values of the first");
        let seen = cli
            .run(&["instance", "list", "-p", PROJECT, "-e", ENVIRONMENT])
            .await?;
        ensure!(seen.contains("1.1.0"), "the instance is not at 1.1.0:\n{seen}");
        teller.show(&seen);
        Ok(())
    }
}
