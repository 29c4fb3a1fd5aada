import { describe, expect, it } from '@jest/globals';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { consumeError, isGroupLevelCode, isRetriableCode, requestError, toNativeError } from './client-errors.ts';
import { ClientEvents, isAuthenticationText } from './client-events.ts';

const brokers = ['b:1'];
const native = (code: number): object => ({ code, message: 'Broker: text' });

describe('errors of the native client', () => {
  it.each([
    [-195, 'ConnectionError', true],
    [-187, 'ConnectionError', true],
    [-137, 'ConnectionError', true],
    [-166, 'ClientError', true],
    [-185, 'ClientError', true],
    [16, 'ClientError', true],
    [29, 'AuthorizationError', false],
    [30, 'AuthorizationError', false],
    [-169, 'AuthenticationError', false],
    [58, 'AuthenticationError', false],
    [35, 'UnsupportedBrokerError', false],
    [-150, 'ClientError', false],
    [3, 'ClientError', false],
  ])('of a request, code %i, is a %s (retriable: %s)', (code, name, retriable) => {
    expect(requestError(native(code), 'it cannot be done', brokers)).toMatchObject({
      name,
      retriable,
      message: `it cannot be done: Broker: text (${code})`,
      cause: { code },
    });
  });

  it.each([
    [-147, 'PollError', true],
    [3, 'PollError', true],
    [6, 'PollError', true],
    [2, 'PollError', true],
    [29, 'AuthorizationError', false],
    [82, 'ClientError', false],
    [-144, 'ClientError', false],
    [-195, 'ConnectionError', true],
  ])('of reading, code %i, is a %s (retriable: %s)', (code, name, retriable) => {
    expect(consumeError(native(code), brokers)).toMatchObject({ name, retriable });
  });

  it('of a commit: waiting helps while something moves, not when the member is out of date or may not', () => {
    for (const code of [16, 14, 15, 7, 27, 113, -185, -180, -195, -166, -137])
      expect([code, isRetriableCode(code)]).toEqual([code, true]);
    for (const code of [22, 25, 12, 29, 30, 82, 3]) expect([code, isRetriableCode(code)]).toEqual([code, false]);
    for (const code of [22, 25, 27, 16, 82, -137]) expect([code, isGroupLevelCode(code)]).toEqual([code, true]);
    for (const code of [3, 12, 29]) expect([code, isGroupLevelCode(code)]).toEqual([code, false]);
  });

  it('are read from whatever was thrown', () => {
    expect(toNativeError(5)).toEqual({ code: 5, message: '5' });
    expect(toNativeError(new Error('x'))).toEqual({ code: -1, message: 'x' });
    expect(toNativeError(undefined)).toEqual({ code: -1, message: 'undefined' });
  });
});

describe('what a client says about its connections', () => {
  it.each([
    'sasl_plaintext://b:1/bootstrap: SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256 (after 2ms in state AUTH_REQ)',
    'ssl://b:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified',
    'ssl://b:1/bootstrap: SSL routines::tlsv13 alert certificate required: SSL alert number 116',
    'Failed to acquire SASL OAUTHBEARER token: Must supply an unexpired token',
  ])('is a refusal: %s', (text) => expect(isAuthenticationText(text)).toBe(true));

  it.each([
    'b:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)',
    'ssl://b:1/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms in state SSL_HANDSHAKE)',
    "b:1/bootstrap: Failed to resolve 'b:1': Name or service not known",
  ])('is a failure that may pass: %s', (text) => expect(isAuthenticationText(text)).toBe(false));

  it('becomes errors with the text of the log line, each once', () => {
    const reported: KafkaWorkerError[] = [];
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const events = new ClientEvents(brokers, logger, (error) => reported.push(error));
    const refused = 'b:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)';
    events.log({ severity: 3, fac: 'FAIL', message: `[thrd:b:1/1]: ${refused}` });
    events.error('broker transport failure');
    events.error('broker transport failure');
    events.log({ severity: 6, fac: 'FAIL', message: '[thrd:b:1/1]: b:1/1: Disconnected (after 600000ms in state UP)' });
    events.error('broker transport failure');
    expect(reported).toMatchObject([
      { name: 'ConnectionError', message: expect.stringContaining('Connection refused') },
    ]);

    const password = 'b:1/1: SASL authentication error: Authentication failed';
    events.log({ severity: 3, fac: 'FAIL', message: `[thrd:b:1/1]: ${password}` });
    events.error('authentication failure');
    events.log({ severity: 0, fac: 'FATAL', message: 'Fatal error: Broker: Static consumer fenced by other consumer' });
    events.error('fatal error');
    expect(reported.slice(1)).toMatchObject([
      { name: 'AuthenticationError', message: expect.stringContaining(password) },
      { name: 'ClientError', retriable: false, message: expect.stringContaining('fenced') },
    ]);
    for (const message of ['unknown topic or partition', 'unknown partition', 'unknown topic or partition'])
      events.error(message);
    events.error('group authorization failed');
    expect(reported.slice(3).map(({ name, retriable }) => [name, retriable])).toEqual([
      ['PollError', true],
      ['PollError', true],
      ['AuthorizationError', false],
    ]);
  });
});
