-- Why an activation token no longer works (used, replaced), so that whoever still shows it can be told.
ALTER TABLE cluster_credentials ADD COLUMN ended TEXT;

-- What the agent of the last session said it can do (JSON of names).
ALTER TABLE clusters ADD COLUMN agent_features TEXT NOT NULL DEFAULT '[]';

-- Orders to an agent to put another version in its own place. Each has exactly one end.
CREATE TABLE agent_upgrades (
    id          TEXT PRIMARY KEY,
    cluster_id  TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    image       TEXT NOT NULL,
    state       TEXT NOT NULL,
    message     TEXT,
    created_by  TEXT NOT NULL,
    created_ms  BIGINT NOT NULL,
    patience_ms BIGINT NOT NULL,
    deadline_ms BIGINT NOT NULL,
    finished_ms BIGINT
);
CREATE INDEX agent_upgrades_by_cluster ON agent_upgrades (cluster_id, id);
