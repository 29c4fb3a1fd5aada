import { describe, expect, it } from '@jest/globals';
import { AuthenticationError } from '../errors.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { ReadFailures, type ReadFailuresParts } from './read-failures.ts';

const refused = Object.assign(new Error('Local: Authentication failure'), { code: -169 });

/** What is reported of an error in the place of records, as far as the client's events tell what happened. */
function reported(events: { readonly authentication?: AuthenticationError; readonly lastFailure?: string }) {
  const errors: KafkaWorkerError[] = [];
  const parts = {
    raw: { isUsable: true, events },
    check: { oneHasStopped() {}, lookAtAll() {} },
    ...{ brokers: ['b:1'], groupId: 'g', owned: () => [], topics: () => [] },
    report: (error: KafkaWorkerError) => errors.push(error),
  };
  new ReadFailures(parts as unknown as ReadFailuresParts).failed(refused);
  return errors;
}

describe('an authentication failure in the place of records', () => {
  it('passes, when the client knows of no refusal: the connection was lost on the way', () => {
    const [error, ...others] = reported({ lastFailure: 'Disconnected: verify that security.protocol is right' });
    expect(others).toEqual([]);
    expect(error).toMatchObject({
      code: 'CONNECTION',
      retriable: true,
      message: expect.stringMatching(/Disconnected/),
    });
  });

  it('is what it says when a broker has refused the client', () => {
    const events = { authentication: new AuthenticationError('not let in'), lastFailure: 'not let in' };
    expect(reported(events)).toMatchObject([{ code: 'AUTHENTICATION', retriable: false }]);
  });
});
