-- Certificates of the authorities that vouch for another repository, in PEM.
ALTER TABLE apps ADD COLUMN authorities TEXT;
