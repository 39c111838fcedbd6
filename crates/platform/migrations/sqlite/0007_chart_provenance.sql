-- What `helm package --sign` made beside the archive.
ALTER TABLE app_versions ADD COLUMN provenance TEXT;
