-- Grows with every change of what a project's chart repository lists: its index is made anew only then.
ALTER TABLE projects ADD COLUMN charts_revision BIGINT NOT NULL DEFAULT 0;
