//! Sessions of agents: which is the newest, and what it may begin with.

use c7n_api::Node;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::clusters::const_sql;
use super::{Store, StoreError, Tx, from_json, json, new_id, now_ms, word};

/// Credentials that were handed out and never shown are forgotten after this time.
const NEVER_USED_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A credential that an agent came with.
#[derive(Debug, Clone)]
pub struct Credential {
    pub id: String,
    pub cluster_id: String,
    pub purpose: Purpose,
    pub created_ms: i64,
}

/// An activation token that worked once, and does not now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedToken {
    pub cluster_id: String,
    pub why: TokenEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEnd {
    /// Swapped for a credential that has been used.
    Used,
    /// A newer one was made.
    Replaced,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be swapped at the first contact.
    Activation,
    Session,
}

/// What an agent said of itself and its cluster.
pub struct Introduction<'a> {
    pub uid: &'a str,
    pub agent_version: &'a str,
    pub agent_features: &'a [String],
    pub kubernetes_version: &'a str,
    pub nodes: &'a [Node],
}

/// How a session begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    Epoch(i64),
    /// The cluster is another than the one that this credential was first used with.
    OtherCluster,
    /// The cluster was deleted meanwhile.
    Gone,
}

/// Whether something is of the cluster that speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Own,
    Foreign,
    /// There is no such thing; there may have been.
    Nobodys,
}

impl Whose {
    pub(super) fn of(owner: Option<&str>, cluster: &str) -> Self {
        match owner {
            None => Self::Nobodys,
            Some(owner) if owner == cluster => Self::Own,
            Some(_) => Self::Foreign,
        }
    }
}

/// An environment as its agent must know it.
#[derive(Debug, Clone)]
pub struct SpecRow {
    pub id: String,
    pub project: String,
    pub name: String,
    pub namespace: String,
    pub branch: String,
    pub parsed_commit: Option<String>,
    pub generation: i64,
    pub confirmed_commit: Option<String>,
    pub allowed_cluster_kinds: Vec<String>,
    pub removal: Option<String>,
    pub agent_fingerprint: Option<String>,
}

impl Store {
    /// `None` for everything that is not a credential now, whatever the reason.
    pub async fn credential(&self, token_hash: &str) -> Result<Option<Credential>, StoreError> {
        let row = sqlx::query(
            "SELECT id, cluster_id, purpose, created_ms FROM cluster_credentials \
             WHERE token_hash = $1 AND used_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2)",
        )
        .bind(token_hash)
        .bind(now_ms())
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            let purpose: String = row.try_get("purpose")?;
            Ok(Credential {
                id: row.try_get("id")?,
                cluster_id: row.try_get("cluster_id")?,
                purpose: if purpose == "activation" {
                    Purpose::Activation
                } else {
                    Purpose::Session
                },
                created_ms: row.try_get("created_ms")?,
            })
        })
        .transpose()
    }

    /// Whether this was an activation token. Only its holder can ask, so it may be told.
    pub async fn ended_token(&self, token_hash: &str) -> Result<Option<EndedToken>, StoreError> {
        let row = sqlx::query(
            "SELECT cluster_id, ended, used_ms FROM cluster_credentials \
             WHERE token_hash = $1 AND purpose = 'activation' AND (used_ms IS NOT NULL OR expires_ms <= $2)",
        )
        .bind(token_hash)
        .bind(now_ms())
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| {
            let ended: Option<String> = row.try_get("ended")?;
            let used: Option<i64> = row.try_get("used_ms")?;
            Ok(EndedToken {
                cluster_id: row.try_get("cluster_id")?,
                why: match (ended.as_deref(), used) {
                    (Some("replaced"), _) => TokenEnd::Replaced,
                    (_, Some(_)) => TokenEnd::Used,
                    (_, None) => TokenEnd::Expired,
                },
            })
        })
        .transpose()
    }

    /// `None` when the cluster is no more.
    pub async fn newest_epoch(&self, cluster: &str) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar("SELECT epoch FROM clusters WHERE id = $1")
            .bind(cluster)
            .fetch_optional(self.readers())
            .await?)
    }

    pub async fn specs(&self, cluster: &str) -> Result<Vec<SpecRow>, StoreError> {
        let rows = sqlx::query(const_sql(SPEC, "WHERE e.cluster_id = $1 ORDER BY e.id"))
            .bind(cluster)
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(spec_row).collect()
    }

    /// `None` when the environment is gone, or of another cluster.
    pub async fn spec(&self, cluster: &str, environment: &str) -> Result<Option<SpecRow>, StoreError> {
        let row = sqlx::query(const_sql(SPEC, "WHERE e.cluster_id = $1 AND e.id = $2"))
            .bind(cluster)
            .bind(environment)
            .fetch_optional(self.readers())
            .await?;
        row.as_ref().map(spec_row).transpose()
    }
}

const SPEC: &str = "SELECT e.id, p.name AS project, e.name, e.namespace, e.branch, e.parsed_commit, e.generation, \
     e.confirmed_commit, p.allowed_cluster_kinds, e.removal, e.agent_fingerprint \
     FROM environments e JOIN projects p ON p.id = e.project_id ";

fn spec_row(row: &SqliteRow) -> Result<SpecRow, StoreError> {
    Ok(SpecRow {
        id: row.try_get("id")?,
        project: row.try_get("project")?,
        name: row.try_get("name")?,
        namespace: row.try_get("namespace")?,
        branch: row.try_get("branch")?,
        parsed_commit: row.try_get("parsed_commit")?,
        generation: row.try_get("generation")?,
        confirmed_commit: row.try_get("confirmed_commit")?,
        allowed_cluster_kinds: from_json(
            "allowed_cluster_kinds",
            row.try_get::<String, _>("allowed_cluster_kinds")?.as_str(),
        )?,
        removal: row.try_get("removal")?,
        agent_fingerprint: row.try_get("agent_fingerprint")?,
    })
}

impl Tx {
    /// Gives the session the next epoch; from here on the ones before it have no say.
    pub async fn open_session(
        &mut self,
        cluster: &str,
        said: &Introduction<'_>,
    ) -> Result<Opening, StoreError> {
        let known: Option<Option<String>> = sqlx::query_scalar("SELECT uid FROM clusters WHERE id = $1")
            .bind(cluster)
            .fetch_optional(self.connection())
            .await?;
        match known {
            None => return Ok(Opening::Gone),
            Some(Some(uid)) if uid != said.uid => {
                let message = "an agent of another cluster came with this cluster's credential and was refused; \
                               if the cluster was made anew, delete its record here and create it again";
                self.cluster_message(cluster, Some(message)).await?;
                return Ok(Opening::OtherCluster);
            }
            Some(_) => {}
        }
        let epoch = sqlx::query_scalar(
            "UPDATE clusters SET uid = $1, epoch = epoch + 1, connected = 1, message = NULL, kubernetes_version = $2, \
             agent_version = $3, nodes = $4, last_seen_ms = $5, agent_features = $7 WHERE id = $6 RETURNING epoch",
        )
        .bind(said.uid)
        .bind(said.kubernetes_version)
        .bind(said.agent_version)
        .bind(json(said.nodes)?)
        .bind(now_ms())
        .bind(cluster)
        .bind(json(said.agent_features)?)
        .fetch_one(self.connection())
        .await?;
        self.cluster_changed(cluster).await?;
        self.environments_of_cluster_changed(cluster).await?;
        Ok(Opening::Epoch(epoch))
    }

    /// Only the newest session may say that nobody is there.
    pub async fn close_session(&mut self, cluster: &str, epoch: i64) -> Result<(), StoreError> {
        let closed =
            sqlx::query("UPDATE clusters SET connected = 0, last_seen_ms = $1 WHERE id = $2 AND epoch = $3")
                .bind(now_ms())
                .bind(cluster)
                .bind(epoch)
                .execute(self.connection())
                .await?;
        if closed.rows_affected() > 0 {
            self.cluster_changed(cluster).await?;
            self.environments_of_cluster_changed(cluster).await?;
        }
        Ok(())
    }

    /// At the start of the server nobody is connected, whatever the last one believed.
    pub async fn close_all_sessions(&mut self) -> Result<(), StoreError> {
        let clusters: Vec<String> =
            sqlx::query_scalar("UPDATE clusters SET connected = 0 WHERE connected = 1 RETURNING id")
                .fetch_all(self.connection())
                .await?;
        for cluster in clusters {
            self.cluster_changed(&cluster).await?;
            self.environments_of_cluster_changed(&cluster).await?;
        }
        Ok(())
    }

    /// True while this session is the newest of its cluster: what an older one says is not stored.
    pub async fn is_newest_session(&mut self, cluster: &str, epoch: i64) -> Result<bool, StoreError> {
        let newest: Option<i64> = sqlx::query_scalar("SELECT epoch FROM clusters WHERE id = $1")
            .bind(cluster)
            .fetch_optional(self.connection())
            .await?;
        Ok(newest == Some(epoch))
    }

    /// A long-lived credential for the agent that came with an activation token.
    pub async fn add_session_credential(
        &mut self,
        cluster: &str,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO cluster_credentials (id, cluster_id, purpose, token_hash, created_ms) \
             VALUES ($1, $2, 'session', $3, $4)",
        )
        .bind(new_id())
        .bind(cluster)
        .bind(token_hash)
        .bind(now_ms())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The swap is complete: the activation token that led to this credential, and credentials that were never used in its
    /// place, work no longer.
    pub async fn consume_activation(&mut self, credential: &Credential) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM cluster_credentials WHERE cluster_id = $1 AND id <> $2 AND purpose = 'session' \
             AND created_ms <= $3",
        )
        .bind(&credential.cluster_id)
        .bind(&credential.id)
        .bind(credential.created_ms)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "UPDATE cluster_credentials SET used_ms = $3, ended = 'used' WHERE cluster_id = $1 \
             AND purpose = 'activation' AND used_ms IS NULL AND created_ms <= $2",
        )
        .bind(&credential.cluster_id)
        .bind(credential.created_ms)
        .bind(now_ms())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Another credential in place of an old one, which works until the new one has been used. Those that were handed
    /// out before and never used are forgotten after a while.
    pub async fn renew_session_credential(
        &mut self,
        old: &Credential,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM cluster_credentials WHERE cluster_id = $1 AND purpose = 'session' AND id <> $2 \
             AND created_ms > $3 AND created_ms < $4",
        )
        .bind(&old.cluster_id)
        .bind(&old.id)
        .bind(old.created_ms)
        .bind(now_ms() - NEVER_USED_MS)
        .execute(self.connection())
        .await?;
        self.add_session_credential(&old.cluster_id, token_hash).await
    }

    /// A word about a cluster whose agent cannot come in. One that is connected has better news.
    pub async fn tell_of_refusal(&mut self, cluster: &str, message: &str) -> Result<(), StoreError> {
        let connected: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM clusters WHERE id = $1 AND connected = 1")
                .bind(cluster)
                .fetch_one(self.connection())
                .await?;
        match connected {
            0 => self.cluster_message(cluster, Some(message)).await,
            _ => Ok(()),
        }
    }

    pub async fn cluster_message(&mut self, cluster: &str, message: Option<&str>) -> Result<(), StoreError> {
        let changed = sqlx::query("UPDATE clusters SET message = $1 WHERE id = $2 AND message IS NOT $1")
            .bind(message)
            .bind(cluster)
            .execute(self.connection())
            .await?;
        if changed.rows_affected() > 0 {
            self.cluster_changed(cluster).await?;
        }
        Ok(())
    }

    pub async fn cluster_info(
        &mut self,
        cluster: &str,
        version: &str,
        nodes: &[Node],
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE clusters SET kubernetes_version = $1, nodes = $2, last_seen_ms = $3 WHERE id = $4",
        )
        .bind(version)
        .bind(json(nodes)?)
        .bind(now_ms())
        .bind(cluster)
        .execute(self.connection())
        .await?;
        self.cluster_changed(cluster).await
    }

    /// `kinds` is JSON.
    pub async fn cluster_kinds(&mut self, cluster: &str, kinds: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE clusters SET kinds = $1 WHERE id = $2")
            .bind(kinds)
            .bind(cluster)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    pub async fn whose_environment(&mut self, cluster: &str, environment: &str) -> Result<Whose, StoreError> {
        let owner: Option<String> = sqlx::query_scalar("SELECT cluster_id FROM environments WHERE id = $1")
            .bind(environment)
            .fetch_optional(self.connection())
            .await?;
        Ok(Whose::of(owner.as_deref(), cluster))
    }

    pub async fn is_removal_asked(&mut self, environment: &str) -> Result<bool, StoreError> {
        let asked: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM environments WHERE id = $1 AND removal IS NOT NULL")
                .bind(environment)
                .fetch_one(self.connection())
                .await?;
        Ok(asked > 0)
    }

    pub async fn whose_command(&mut self, cluster: &str, command: &str) -> Result<Whose, StoreError> {
        let owner: Option<String> = sqlx::query_scalar("SELECT cluster_id FROM commands WHERE id = $1")
            .bind(command)
            .fetch_optional(self.connection())
            .await?;
        Ok(Whose::of(owner.as_deref(), cluster))
    }

    /// True when another environment's agent has this key: two could then not be told apart.
    pub async fn is_key_of_another(
        &mut self,
        environment: &str,
        fingerprint: &str,
    ) -> Result<bool, StoreError> {
        let others: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM environments WHERE agent_fingerprint = $1 AND id <> $2")
                .bind(fingerprint)
                .bind(environment)
                .fetch_one(self.connection())
                .await?;
        Ok(others > 0)
    }

    /// What is said again, as after every break, changes nothing and is no event.
    pub async fn environment_phase(
        &mut self,
        environment: &str,
        phase: c7n_api::EnvironmentPhase,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        let changed = sqlx::query(
            "UPDATE environments SET phase = $1, message = $2 WHERE id = $3 AND removal IS NULL \
             AND (phase <> $1 OR message IS NOT $2)",
        )
        .bind(word(phase))
        .bind(message)
        .bind(environment)
        .execute(self.connection())
        .await?;
        let while_removing =
            sqlx::query("UPDATE environments SET message = $1 WHERE id = $2 AND removal IS NOT NULL AND message IS NOT $1")
                .bind(message)
                .bind(environment)
                .execute(self.connection())
                .await?;
        if changed.rows_affected() + while_removing.rows_affected() > 0 {
            self.environment_changed(environment).await?;
        }
        Ok(())
    }

    /// The public half of the agent's key. True when it is new.
    pub async fn register_key(
        &mut self,
        environment: &str,
        line: &str,
        fingerprint: &str,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "UPDATE environments SET agent_public_key = $1, agent_fingerprint = $2 WHERE id = $3 AND agent_fingerprint IS NOT $2",
        )
        .bind(line)
        .bind(fingerprint)
        .bind(environment)
        .execute(self.connection())
        .await?;
        Ok(changed.rows_affected() > 0)
    }

    async fn environments_of_cluster_changed(&mut self, cluster: &str) -> Result<(), StoreError> {
        let environments: Vec<String> =
            sqlx::query_scalar("SELECT id FROM environments WHERE cluster_id = $1")
                .bind(cluster)
                .fetch_all(self.connection())
                .await?;
        for environment in environments {
            self.environment_changed(&environment).await?;
        }
        Ok(())
    }
}
