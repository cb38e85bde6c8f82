-- What PostgreSQL has beside schema.sql: several bridges share the tables, records
-- are claimed by one bridge at a time, and bodies are in tables (body_N) that are
-- dropped as a whole.

CREATE TABLE IF NOT EXISTS bridge (   -- a running bridge; what it claims is its own until alive_until
  id          BIGINT PRIMARY KEY,
  name        TEXT NOT NULL,
  alive_until TIMESTAMPTZ NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS bridge_id;
CREATE SEQUENCE IF NOT EXISTS record_seq;
CREATE INDEX IF NOT EXISTS record_claim ON record (connector, backfilled, seq) WHERE pending > 0 AND owner = 0;
CREATE INDEX IF NOT EXISTS record_owner ON record (owner, seq) WHERE pending > 0 AND owner <> 0;

CREATE TABLE IF NOT EXISTS batch (    -- a batch that comes again, to whichever bridge, is known by its hash
  connector BIGINT NOT NULL,
  hash      BYTEA NOT NULL,
  seq       BIGINT NOT NULL,
  PRIMARY KEY (connector, hash)
);
CREATE INDEX IF NOT EXISTS batch_seq ON batch (connector, seq);

CREATE TABLE IF NOT EXISTS body_table (span BIGINT PRIMARY KEY);  -- the tables body_N that there are; span: N

ALTER TABLE letter ADD COLUMN IF NOT EXISTS altered BIGINT NOT NULL DEFAULT 0;  -- tables of an earlier version may be without it
