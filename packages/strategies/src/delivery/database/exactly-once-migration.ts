import { InvalidOptionError } from '@kafka-worker/core';

/** Where the tables are unless it is said otherwise. */
export const DEFAULT_SCHEMA = 'kafka_worker';

/**
 * The SQL that makes the tables of `exactlyOnceInDatabase` in a schema of your choice, for your migrations. It may run again: what is there stays.
 * @param schema @defaultValue 'kafka_worker'
 * @throws InvalidOptionError
 */
export function exactlyOnceMigration(schema: string = DEFAULT_SCHEMA): string {
  const name = quoteSchema('exactlyOnceMigration.schema', schema);
  return `CREATE SCHEMA IF NOT EXISTS ${name};

-- Who may write: each worker that takes a partition counts its epoch up, and a transaction of an owner before it is rolled back.
CREATE TABLE IF NOT EXISTS ${name}.partition_epochs (
  group_id text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  epoch bigint NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (group_id, topic, partition)
);

-- Everything of the partition before next_offset is done.
CREATE TABLE IF NOT EXISTS ${name}.partition_offsets (
  group_id text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  next_offset bigint NOT NULL,
  metadata text NOT NULL DEFAULT '',
  stored_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (group_id, topic, partition)
) WITH (fillfactor = 50);

-- What is done at or above next_offset, where records of a partition run at once.
CREATE TABLE IF NOT EXISTS ${name}.finished_offsets (
  group_id text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  finished_offset bigint NOT NULL,
  PRIMARY KEY (group_id, topic, partition, finished_offset)
);
`;
}

/** A schema's name as an identifier. */
export function quoteSchema(option: string, schema: unknown): string {
  // A name that needs no care elsewhere either: in psql, in a dump, in somebody's search_path.
  if (typeof schema !== 'string' || !/^[a-z_][a-z0-9_]{0,62}$/.test(schema))
    throw new InvalidOptionError(option, 'the name of a schema (1 to 63 of a-z 0-9 _, no digit first)', schema);
  return `"${schema}"`;
}
