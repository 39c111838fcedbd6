-- The catalogue: applications, their versions, and who may read a project's charts.

CREATE TABLE apps (
    id          TEXT PRIMARY KEY,
    project_id  TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name        TEXT NOT NULL, -- what its charts are called, too
    description TEXT,
    -- where its versions come from, if they are not uploaded
    repo_url    TEXT,
    chart_name  TEXT,
    username    TEXT,
    -- sealed under the platform's key
    password    BLOB,
    created_ms  BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- Uploaded versions. The archive itself is a file, named by its digest.
CREATE TABLE app_versions (
    app_id         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    version        TEXT NOT NULL,
    digest         TEXT NOT NULL, -- hexadecimal SHA-256 of the archive
    size           BIGINT NOT NULL,
    metadata       TEXT NOT NULL, -- JSON of Chart.yaml
    default_values TEXT,
    values_schema  TEXT,
    readme         TEXT,
    created_by     TEXT NOT NULL,
    created_ms     BIGINT NOT NULL,
    PRIMARY KEY (app_id, version)
);
CREATE INDEX app_versions_by_digest ON app_versions (digest);

-- Only the SHA-256 of a token is kept.
CREATE TABLE chart_tokens (
    id           TEXT PRIMARY KEY,
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    token_hash   TEXT NOT NULL UNIQUE,
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT,
    last_used_ms BIGINT
);
CREATE INDEX chart_tokens_by_project ON chart_tokens (project_id);
