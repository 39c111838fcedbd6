//! From where a chart is fetched to the application of the project that it is.

use std::collections::BTreeMap;

use sqlx::Row;

use super::apps::repository_url;
use super::clusters::const_sql;
use super::{Store, StoreError};

const VIEW: &str = "SELECT a.name, a.repo_url, a.chart_name, p.name AS project FROM apps a JOIN projects p ON p.id = a.project_id ";

/// The applications of one project, by repository and chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppCharts(BTreeMap<String, BTreeMap<String, String>>);

impl AppCharts {
    /// Name of the application; of several with the same chart, the first by name.
    pub fn of(&self, repo_url: &str, chart: &str) -> Option<&str> {
        let charts = self.0.get(repo_url.trim_end_matches('/'))?;
        charts.get(chart).map(String::as_str)
    }

    /// To be called in the order of the names.
    pub fn add(&mut self, repo_url: &str, chart: &str, app: &str) {
        let charts = self
            .0
            .entry(repo_url.trim_end_matches('/').to_owned())
            .or_default();
        charts.entry(chart.to_owned()).or_insert_with(|| app.to_owned());
    }
}

impl Store {
    pub async fn app_charts(&self, project: &str) -> Result<AppCharts, StoreError> {
        self.charts_of("WHERE a.project_id = $1 ORDER BY a.name", project)
            .await
    }

    /// Of the project of this environment.
    pub async fn app_charts_of_environment(&self, environment: &str) -> Result<AppCharts, StoreError> {
        let of = "WHERE a.project_id = (SELECT project_id FROM environments WHERE id = $1) ORDER BY a.name";
        self.charts_of(of, environment).await
    }

    async fn charts_of(&self, which: &'static str, id: &str) -> Result<AppCharts, StoreError> {
        let rows = sqlx::query(const_sql(VIEW, which))
            .bind(id)
            .fetch_all(self.readers())
            .await?;
        let addresses = self.addresses();
        let mut charts = AppCharts::default();
        for row in rows {
            let (name, project): (String, String) = (row.try_get("name")?, row.try_get("project")?);
            let outside: Option<String> = row.try_get("repo_url")?;
            let chart: Option<String> = row.try_get("chart_name")?;
            let repo_url = outside.unwrap_or_else(|| repository_url(&addresses, &project));
            charts.add(&repo_url, chart.as_deref().unwrap_or(&name), &name);
        }
        Ok(charts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_known_by_where_it_is() {
        let mut charts = AppCharts::default();
        charts.add("https://h/charts/shop", "web", "web");
        charts.add("https://h/charts/shop", "web", "web-again");
        charts.add("oci://h/x/", "redis", "cache");
        assert_eq!(charts.of("https://h/charts/shop/", "web"), Some("web"));
        assert_eq!(charts.of("oci://h/x", "redis"), Some("cache"));
        assert_eq!(charts.of("https://h/charts/shop", "redis"), None);
        assert_eq!(charts.of("https://elsewhere", "web"), None);
    }
}
