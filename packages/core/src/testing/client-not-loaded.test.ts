import { describe, expect, it } from '@jest/globals';
import { MissingDependencyError } from '../errors.ts';
import { clientNotLoaded } from './client-not-loaded.ts';

describe('a Kafka client that cannot be used', () => {
  it('is to be installed where it is not', () => {
    const message = "Cannot find package '@confluentinc/kafka-javascript' imported from /app/main.js";
    const error = clientNotLoaded(Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' }));
    expect(error).toBeInstanceOf(MissingDependencyError);
    expect(error.message).toBe(
      'embeddedKafka() needs the Kafka client: npm install --save-dev @confluentinc/kafka-javascript koffi',
    );
  });

  it.each([
    Object.assign(new Error('libsasl2.so.3: cannot open shared object file'), { code: 'ERR_DLOPEN_FAILED' }),
    Object.assign(new Error("Cannot find module './build/confluent-kafka-javascript.node'"), {
      code: 'MODULE_NOT_FOUND',
    }),
  ])('says why where it is installed and does not load: %s', (cause) => {
    const error = clientNotLoaded(cause);
    expect(error).toMatchObject({ cause });
    expect(error.message).toContain(`is installed and does not load: ${cause.message}`);
  });
});
