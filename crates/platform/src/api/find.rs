//! From the names in an address to what they name, with the caller's right to it.

use c7n_api::{App, Cluster, Environment, Project, Role};

use super::authenticate::SignedIn;
use super::{Api, Failure};
use crate::access::{Resource, Verb, authorize};

impl Api {
    pub(super) async fn project(
        &self,
        who: &SignedIn,
        verb: Verb,
        project: &str,
    ) -> Result<Project, Failure> {
        Ok(self.own_project(who, verb, project).await?.0)
    }

    /// With the caller's role in it.
    async fn own_project(
        &self,
        who: &SignedIn,
        verb: Verb,
        project: &str,
    ) -> Result<(Project, Option<Role>), Failure> {
        let found = self.store().project(&who.viewer(), project).await?;
        let found = found.ok_or_else(|| Failure::not_found("project"))?;
        authorize(&who.actor(), verb, Resource::Project { role: found.role })
            .map_err(|denial| Failure::denied(denial, "project"))?;
        Ok((found.project, found.role))
    }

    pub(super) async fn cluster(
        &self,
        who: &SignedIn,
        verb: Verb,
        (project, cluster): (&str, &str),
    ) -> Result<(Project, Cluster), Failure> {
        let project = self.project(who, verb, project).await?;
        let found = self.store().cluster(&project.id, cluster).await?;
        Ok((project, found.ok_or_else(|| Failure::not_found("cluster"))?))
    }

    pub(super) async fn environment(
        &self,
        who: &SignedIn,
        verb: Verb,
        (project, environment): (&str, &str),
    ) -> Result<(Project, Environment), Failure> {
        // Users have the rights of the project in all its environments.
        let project = self.project(who, verb, project).await?;
        let found = self.store().environment(&project.id, environment).await?;
        Ok((project, found.ok_or_else(|| Failure::not_found("environment"))?))
    }

    /// With the caller's role in its project.
    pub(super) async fn own_environment(
        &self,
        who: &SignedIn,
        verb: Verb,
        (project, environment): (&str, &str),
    ) -> Result<(Environment, Option<Role>), Failure> {
        let (project, role) = self.own_project(who, verb, project).await?;
        let found = self.store().environment(&project.id, environment).await?;
        Ok((found.ok_or_else(|| Failure::not_found("environment"))?, role))
    }

    pub(super) async fn app(
        &self,
        who: &SignedIn,
        verb: Verb,
        (project, app): (&str, &str),
    ) -> Result<(Project, App), Failure> {
        let project = self.project(who, verb, project).await?;
        let found = self.store().app(&project.id, app).await?;
        Ok((project, found.ok_or_else(|| Failure::not_found("application"))?))
    }

    /// For what belongs to the platform and not to a project.
    pub(super) fn platform(&self, who: &SignedIn, verb: Verb) -> Result<(), Failure> {
        authorize(&who.actor(), verb, Resource::Platform)
            .map_err(|denial| Failure::denied(denial, "operation"))
    }
}
