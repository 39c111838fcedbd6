-- Logs, exec and port-forward: who may, how they are guarded, and what there was.

-- Of one user in one environment, beside their role in the project; NULL leaves it to the role.
CREATE TABLE stream_rights (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    user_id        TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    logs           BIGINT,
    exec           BIGINT,
    PRIMARY KEY (environment_id, user_id)
);

ALTER TABLE environments ADD COLUMN record_exec BIGINT NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN review_access BIGINT NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN idle_minutes BIGINT NOT NULL DEFAULT 30;

-- Part of the audit log: it outlives users and environments.
CREATE TABLE stream_records (
    id             TEXT PRIMARY KEY, -- UUIDv7: order of opening
    project_id     TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    environment    TEXT NOT NULL,
    user_id        TEXT NOT NULL,
    username       TEXT NOT NULL,
    kind           TEXT NOT NULL,
    target         TEXT NOT NULL,
    container      TEXT,
    command        TEXT NOT NULL, -- JSON of words
    opened_ms      BIGINT NOT NULL,
    ended_ms       BIGINT,
    exit_code      BIGINT,
    end_reason     TEXT,
    bytes_in       BIGINT NOT NULL DEFAULT 0,
    bytes_out      BIGINT NOT NULL DEFAULT 0,
    recorded       BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX stream_records_by_environment ON stream_records (environment_id, id);
CREATE INDEX stream_records_open ON stream_records (ended_ms) WHERE ended_ms IS NULL;
