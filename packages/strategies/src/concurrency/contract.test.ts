import type { KafkaRecord } from '@kafka-worker/core';
import type { ConcurrencyUnderTest, ExpectedLimit, SentRecord } from '../testing/concurrency-under-test.ts';
import { describeConcurrency } from '../testing/describe-concurrency.ts';
import { laneBy } from './lane-by.ts';
import { limited } from './limited.ts';
import { parallel } from './parallel.ts';
import { perKey } from './per-key.ts';
import { perPartition } from './per-partition.ts';
import { serial } from './serial.ts';

type Place = (record: SentRecord) => string;
const partition: Place = ({ topic, partition: number }) => `${topic}/${number}`;
const keyed: Place = (record) => `${partition(record)} ${JSON.stringify(record.key)}`;
const key = (record: SentRecord): string | undefined => (record.key === null ? undefined : keyed(record));
const nothing = (): undefined => undefined;
const calls = (most: number): ExpectedLimit => ({ most });

/** The lane function throws for a record without the header. */
const byHeader = (record: KafkaRecord): string => {
  const tenant = record.headers.get('tenant');
  if (tenant === undefined || tenant === null) throw new Error('no tenant');
  return tenant.toString();
};
const byField = (record: KafkaRecord): string =>
  (JSON.parse(String(record.value)) as { readonly tenant: string }).tenant;

/** Tenants that share a lane; records without one have none, and each counts for itself. */
const tenant =
  (scope: Place) =>
  (record: SentRecord): string | undefined =>
    record.tenant === null ? undefined : `${scope(record)} =${record.tenant}`;
const everywhere: Place = () => '';

const strategies: Readonly<Record<string, () => ConcurrencyUnderTest>> = {
  'serial()': () => ({ strategy: serial(), laneOf: everywhere, limits: [calls(1)] }),

  'perPartition()': () => ({ strategy: perPartition(), laneOf: partition, limits: [] }),
  'perPartition({ concurrency: 2 })': () => ({
    strategy: perPartition({ concurrency: 2 }),
    laneOf: partition,
    limits: [calls(2)],
  }),
  'perPartition({ within: parallel })': () => ({
    strategy: perPartition({ within: parallel({ concurrency: 3 }) }),
    laneOf: nothing,
    limits: [{ most: 3, among: partition }],
  }),
  'perPartition({ concurrency: 1, within: perKey })': () => ({
    strategy: perPartition({ concurrency: 1, within: perKey({ concurrency: 3 }) }),
    laneOf: key,
    limits: [
      { most: 1, of: partition, hasTurns: true },
      { most: 3, among: partition, of: key },
    ],
  }),
  'perPartition with short turns': () => ({
    strategy: perPartition({
      ...{ concurrency: 2, turn: { maxRecords: 3, maxMs: 50 } },
      within: perKey({ concurrency: 2, nullKeys: 'per-partition' }),
    }),
    laneOf: keyed,
    limits: [
      { most: 2, of: partition, hasTurns: true },
      { most: 2, among: partition, of: keyed },
    ],
  }),
  'perPartition({ within: laneBy })': () => ({
    strategy: perPartition({ within: laneBy(byHeader, { concurrency: 'unlimited' }) }),
    laneOf: tenant(partition),
    limits: [],
  }),

  'perKey({ concurrency: 3 })': () => ({
    strategy: perKey({ concurrency: 3 }),
    laneOf: key,
    limits: [{ most: 3, of: key }],
  }),
  "perKey({ nullKeys: 'per-partition' })": () => ({
    strategy: perKey({ nullKeys: 'per-partition', concurrency: 'unlimited' }),
    laneOf: keyed,
    limits: [],
  }),
  "perKey({ nullKeys: 'one-lane' })": () => {
    const lane: Place = (record) => (record.key === null ? 'null' : keyed(record));
    return {
      strategy: perKey({ nullKeys: 'one-lane', concurrency: 4 }),
      laneOf: lane,
      limits: [{ most: 4, of: lane }],
    };
  },

  'parallel({ concurrency: 5 })': () => ({
    strategy: parallel({ concurrency: 5 }),
    laneOf: nothing,
    limits: [calls(5)],
  }),
  'parallel({ concurrency: 1 })': () => ({
    strategy: parallel({ concurrency: 1 }),
    laneOf: nothing,
    limits: [calls(1)],
  }),

  'limited(2, perKey())': () => ({ strategy: limited(2, perKey()), laneOf: key, limits: [calls(2)] }),
  'limited(3, perPartition({ within: perKey() }))': () => ({
    strategy: limited(3, perPartition({ within: perKey() })),
    laneOf: key,
    limits: [calls(3)],
  }),
  'perPartition({ concurrency: 2, within: limited(2, perKey()) })': () => ({
    strategy: perPartition({ concurrency: 2, within: limited(2, perKey()) }),
    laneOf: key,
    limits: [
      { most: 2, of: partition, hasTurns: true },
      { most: 2, among: partition },
    ],
  }),
  'limited(4, perPartition(), { perSecond })': () => ({
    strategy: limited(4, perPartition(), { perSecond: 40 }),
    laneOf: partition,
    limits: [calls(4)],
    perSecond: 40,
  }),

  'laneBy a header': () => ({
    strategy: laneBy(byHeader, { concurrency: 3 }),
    laneOf: tenant(partition),
    limits: [{ most: 3, of: tenant(partition) }],
  }),
  "laneBy a field, across: 'topic'": () => ({
    strategy: laneBy(byField, { across: 'topic', concurrency: 2 }),
    laneOf: tenant(({ topic }) => topic),
    limits: [{ most: 2, of: tenant(({ topic }) => topic) }],
  }),
  "laneBy a header, across: 'all'": () => ({
    strategy: laneBy(byHeader, { across: 'all' }),
    laneOf: tenant(everywhere),
    limits: [],
  }),
  "laneBy a header across 'all', within: perKey": () => ({
    strategy: laneBy(byHeader, {
      ...{ across: 'all', concurrency: 1, turn: { maxRecords: 4, maxMs: 100 } },
      within: perKey({ concurrency: 2, nullKeys: 'one-lane' }),
    }),
    laneOf: (record) => {
      const outer = tenant(everywhere)(record);
      return outer === undefined ? undefined : `${outer} ${record.key === null ? 'null' : keyed(record)}`;
    },
    limits: [
      { most: 1, of: tenant(everywhere), hasTurns: true },
      {
        most: 2,
        among: (record) => tenant(everywhere)(record) ?? '',
        of: (record) => (record.key === null ? 'null' : keyed(record)),
      },
    ],
  }),
};

for (const [name, factory] of Object.entries(strategies)) describeConcurrency(name, factory);
