import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import * as core from './index.ts';

const entry = fileURLToPath(new URL('./index.ts', import.meta.url));

/** Every module that a file loads when it is imported, itself included; what is only a type is not loaded. */
function loadedBy(
  file: string,
  seen = new Set<string>(),
  foreign = new Set<string>(),
): { seen: Set<string>; foreign: Set<string> } {
  if (seen.has(file)) return { seen, foreign };
  seen.add(file);
  const source = readFileSync(file, 'utf8');
  for (const [, isType, specifier = ''] of source.matchAll(/^(?:import|export)( type)?\s[^;]*?from '([^']+)'/gm)) {
    if (isType !== undefined) continue;
    if (specifier.startsWith('.')) loadedBy(resolve(dirname(file), specifier), seen, foreign);
    else foreign.add(specifier);
  }
  for (const [, specifier = ''] of source.matchAll(/import\('([^']+)'\)/g)) foreign.add(specifier);
  return { seen, foreign };
}

describe('the package entry', () => {
  it('exports these values and no others', () => {
    expect(Object.keys(core).sort()).toEqual([
      'AssignmentHookError',
      'AuthenticationError',
      'AuthorizationError',
      'ClientError',
      'CommitError',
      'ConnectionError',
      'CorruptRecordError',
      'DeadLetterBrakeError',
      'DeserializationError',
      'HandlerError',
      'HandlerTimeoutError',
      'HeaderList',
      'IllegalStateError',
      'InvalidOptionError',
      'KafkaWorkerError',
      'LaneError',
      'LogTruncatedError',
      'MissingDependencyError',
      'NonRetriableError',
      'OffsetOutOfRangeError',
      'OwnedRecord',
      'PollError',
      'ProduceError',
      'RetriableError',
      'ShutdownTimeoutError',
      'StuckHandlerError',
      'TransactionError',
      'UnknownTopicError',
      'UnsupportedBrokerError',
      'Worker',
      'WorkerGroup',
      'answerPaths',
      'atLeastOnceDelivery',
      'checkLaneRule',
      'copyRecord',
      'deadLetterHeaders',
      'hasKeyLanes',
      'healthFile',
      'healthServer',
      'isKafkaWorkerError',
      'json',
      'noHeaders',
      'perPartitionStrategy',
      'recordToJSON',
      'retryPolicy',
      'runUntilSignal',
      'serveHttp',
      'stopPolicy',
      'string',
      'systemClock',
    ]);
  });

  it('loads no Kafka client, no test tool, and nothing else that has to be installed', () => {
    const { seen, foreign } = loadedBy(entry);
    expect(seen.size).toBeGreaterThan(20);
    expect([...seen].filter((file) => /\/(confluent|testing)\//.test(file))).toEqual([]);
    expect([...foreign].filter((specifier) => !specifier.startsWith('node:'))).toEqual([]);
  });
});
