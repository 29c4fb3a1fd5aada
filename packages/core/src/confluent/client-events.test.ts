import { describe, expect, it } from '@jest/globals';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { ClientEvents, isAuthenticationText } from './client-events.ts';

const host = 'sasl_ssl://b:1/bootstrap';
const logger = { debug() {}, info() {}, warn() {}, error() {} };

function eventsWith(text: string, event: string): { events: ClientEvents; reported: KafkaWorkerError[] } {
  const reported: KafkaWorkerError[] = [];
  const events = new ClientEvents(['b:1'], logger, (error) => reported.push(error));
  events.log({ severity: 3, fac: 'FAIL', message: `[thrd:${host}]: ${host}: ${text}` });
  events.log({ severity: 3, fac: 'ERROR', message: `[thrd:${host}]: rdkafka#producer-1: ${host}: ${text}` });
  events.error(event);
  return { events, reported };
}

describe('a connection that is lost during the login', () => {
  it.each([
    [
      'SASL authentication error: SaslAuthenticateRequest failed: Local: Broker transport failure (after 3ms in state AUTH_REQ)',
      'broker transport failure',
    ],
    [
      'SASL authentication error: SaslAuthenticateRequest failed: Local: Timed out (after 10003ms in state AUTH_REQ)',
      'timed out',
    ],
    [
      "SASL PLAIN mechanism handshake failed: Local: Broker transport failure: broker's supported mechanisms:  (after 2ms in state AUTH_HANDSHAKE)",
      'authentication failure',
    ],
    [
      "SASL OAUTHBEARER mechanism handshake failed: Local: Timed out: broker's supported mechanisms:  (after 10001ms in state AUTH_HANDSHAKE)",
      'authentication failure',
    ],
    ['Disconnected: hung up from peer in state AUTH_LEGACY (after 2ms in state AUTH_LEGACY)', 'authentication failure'],
    ['Disconnected (after 1ms in state AUTH_REQ)', 'broker transport failure'],
    ['Disconnected: during SSL connection handshake (after 1ms in state SSL_HANDSHAKE)', 'broker transport failure'],
    [
      'SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms in state SSL_HANDSHAKE)',
      'broker transport failure',
    ],
    [
      'SSL handshake failed: SSL transport error: Connection reset by peer (after 1ms in state SSL_HANDSHAKE)',
      'ssl error',
    ],
  ])('is a failure that may pass: %s', (text, event) => {
    const { events, reported } = eventsWith(text, event);
    expect(isAuthenticationText(text)).toBe(false);
    expect(events.authentication).toBeUndefined();
    expect(reported).toMatchObject([{ name: 'ConnectionError', retriable: true }]);
    expect(events.lastFailure).toContain(text);
  });

  it.each([
    ['SASL authentication error: Authentication failed: Invalid username or password', 'authentication failure'],
    [
      'SASL authentication error: Authentication failed: Disconnected from the directory (after 5ms in state AUTH_REQ)',
      'authentication failure',
    ],
    [
      "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: GSSAPI",
      'authentication failure',
    ],
    ['SASL authentication error: {"status":"invalid_token"} (after 5ms in state AUTH_REQ)', 'authentication failure'],
    [
      'SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified (after 3ms in state SSL_HANDSHAKE)',
      'ssl error',
    ],
    ['SSL routines::tlsv13 alert certificate required: SSL alert number 116 (after 3ms in state UP)', 'ssl error'],
  ])('is not what this is: %s', (text, event) => {
    const { events, reported } = eventsWith(text, event);
    expect(events.authentication).toMatchObject({ name: 'AuthenticationError', retriable: false });
    expect(reported.length).toBeGreaterThan(0);
    expect(reported.every(({ name }) => name === 'AuthenticationError')).toBe(true);
  });

  // What a broker says when it is told anew too soon, and what a listener without SASL says.
  it('is a login that came too soon, for a client that has been let in before', () => {
    const text = `${host}: SASL OAUTHBEARER mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)`;
    for (const isAccepted of [false, true]) {
      const reported: KafkaWorkerError[] = [];
      const events = new ClientEvents(['b:1'], logger, (error) => reported.push(error));
      if (isAccepted) events.accepted();
      events.log({ severity: 3, fac: 'FAIL', message: `[thrd:${host}]: ${text}` });
      events.error('Local: Authentication failure');
      const expected = isAccepted ? { name: 'ConnectionError', retriable: true } : { name: 'AuthenticationError' };
      expect(reported).toMatchObject([expected]);
    }
  });
});
