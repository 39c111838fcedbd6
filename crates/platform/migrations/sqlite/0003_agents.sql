-- Why an activation token no longer works (used, replaced), so that whoever still shows it can be told.
ALTER TABLE cluster_credentials ADD COLUMN ended TEXT;
