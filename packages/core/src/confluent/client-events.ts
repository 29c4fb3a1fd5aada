import {
  AuthenticationError,
  AuthorizationError,
  ClientError,
  ConnectionError,
  PollError,
  UnsupportedBrokerError,
} from '../errors.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';

/** What librdkafka says without being asked: `event.log`, with the whole text. */
export interface ClientLogLine {
  readonly severity: number;
  readonly fac: string;
  readonly message: string;
}

const AUTHENTICATION =
  /sasl (authentication|handshake)|authentication (failed|failure|error)|oauthbearer|unsupported sasl mechanism|certificate|alert (handshake failure|unknown ca|access denied|decrypt error)|unknown ca\b/i;
/** The connection went away, or no answer came, while one side was saying who it is: nobody has refused anybody. */
const LOST_LOGIN = [
  /(SaslAuthenticateRequest|mechanism handshake) failed: Local: (Broker transport failure|(Message )?timed out|Broker handle destroyed|Host resolution failure|All broker connections are down)/i,
  /: Disconnected: (hung up|during SSL)/i,
  /SSL handshake failed: (SSL transport error: )?(Disconnected|Connection (reset|closed|aborted|timed out)|Broken pipe|Operation timed out|Timed out)/i,
  /: (Disconnected|Connection setup timed out in state \w+) \(after \d+ms in state (SSL_HANDSHAKE|AUTH_\w+|REAUTH)/i,
];
/**
 * A broker refuses to be told who we are anew within a second of the last time, as happens with a token that has hardly any time left. A listener
 * without SASL says the same; so it passes only for a client that has been let in before.
 */
const TOO_SOON = /mechanism handshake failed: Broker: Request not valid in current SASL state/i;
const CONNECTION = /transport failure|broker connections are down|resolution failure|timed out|disconnected/i;
/** A connection that was fine and idle, closed by the broker: the client opens another when it needs one. */
const IDLE = /: Disconnected \(after \d+ms in state UP/;
const SAME_REPORT_MS = 5_000;
const MAX_REPORTS = 100;
const AUTHORIZATION = /authorization|not authorized|access denied/i;
const UNSUPPORTED = /unsupported|not supported|requires broker/i;

/**
 * Whether a failed connection's text says that trying again is of no use: one side does not accept who the other says it is.
 * Text is all there is: the events that the native client passes on carry no code.
 */
export function isAuthenticationText(text: string): boolean {
  return AUTHENTICATION.test(text) && !isLostLoginText(text);
}

/** Whether a connection was lost during SASL or TLS, which librdkafka may call an authentication failure: it may pass. */
export function isLostLoginText(text: string): boolean {
  return LOST_LOGIN.some((pattern) => pattern.test(text));
}

/**
 * Turns what a client says about its connections into named errors. The error event has no more than librdkafka's name for it
 * ("broker transport failure"); what really happened stands in the log line before it.
 */
export class ClientEvents {
  readonly #brokers: readonly string[];
  readonly #logger: Logger;
  readonly #report: (error: KafkaWorkerError) => void;
  #lastFailure: string | undefined;
  #authentication: AuthenticationError | undefined;
  #tokenFailure: AuthenticationError | undefined;
  #fatal: string | undefined;
  #isAccepted = false;
  readonly #reportedAt = new Map<string, number>();

  constructor(brokers: readonly string[], logger: Logger, report: (error: KafkaWorkerError) => void) {
    this.#brokers = brokers;
    this.#logger = logger;
    this.#report = report;
  }

  /** The text of the newest failure of a connection. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** What ended the client for good; undefined while nothing has, or while its text is on the way. */
  get fatal(): KafkaWorkerError | undefined {
    return this.#fatal === undefined ? undefined : fatalError(this.#fatal);
  }

  /** Set once a broker has refused who we are, or we have refused who it is. */
  get authentication(): AuthenticationError | undefined {
    return this.#authentication;
  }

  /** Set while the token provider fails, which may pass. */
  get tokenFailure(): AuthenticationError | undefined {
    return this.#tokenFailure;
  }

  /** A broker has let us in. */
  accepted(): void {
    this.#isAccepted = true;
  }

  log(line: ClientLogLine): void {
    const text = line.message.replace(/^\[thrd:[^\]]*\]: /, '');
    this.#logger.debug('kafka client log', { facility: line.fac, severity: line.severity, text });
    if (line.fac === 'FATAL') this.#fatal = text;
    if (line.fac !== 'FAIL' && line.fac !== 'ERROR') return;
    const isRefusal = isAuthenticationText(text) && !this.#isLostLogin(text);
    if (line.fac === 'ERROR' && !isRefusal && this.#lastFailure !== undefined) return;
    this.#lastFailure = text;
    if (isRefusal) this.#refused(text);
  }

  error(message: string): void {
    const text = this.#lastFailure ?? message;
    if (/authentication failure|ssl error/i.test(message)) {
      if (this.#isLostLogin(text)) this.#lost('connection lost during the login', text);
      else this.#refused(text);
    } else if (/fatal error/i.test(message)) this.#report(fatalError(this.#fatal ?? message));
    else if (!CONNECTION.test(message)) this.#reportOnce(otherError(message));
    else if (this.#authentication === undefined && !(/transport failure/.test(message) && IDLE.test(text))) {
      this.#lost(message, text);
    }
  }

  /** The token provider failed, or gave a token that cannot be used. */
  token(error: AuthenticationError, isFinal: boolean): void {
    this.#lastFailure = error.message;
    this.#tokenFailure = error;
    if (isFinal) this.#authentication = error;
    this.#report(error);
  }

  /** The provider's last token was taken. */
  tokenAccepted(): void {
    if (this.#authentication === this.#tokenFailure) this.#authentication = undefined;
    this.#tokenFailure = undefined;
  }

  #isLostLogin(text: string): boolean {
    return isLostLoginText(text) || (this.#isAccepted && TOO_SOON.test(text));
  }

  #lost(what: string, text: string): void {
    const message = `${what}: ${text.replace(/ \(after [^)]*\)$/, '')}`;
    this.#reportOnce(new ConnectionError(message, { brokers: this.#brokers }));
  }

  #refused(text: string): void {
    // The log line and the error event of one failure both come here.
    if (this.#authentication?.message.endsWith(text) === true) return;
    this.#authentication = new AuthenticationError(
      `the brokers (${this.#brokers.join(', ')}) and this client do not accept each other: ${text}`,
    );
    this.#report(this.#authentication);
  }

  /** The same failure repeats with every attempt, up to many times a second: once in a while is enough. */
  #reportOnce(error: KafkaWorkerError): void {
    const now = Date.now();
    const last = this.#reportedAt.get(error.message);
    if (last !== undefined && now - last < SAME_REPORT_MS) return;
    // Texts vary little; should they, forgetting all of them costs a repetition.
    if (this.#reportedAt.size >= MAX_REPORTS) this.#reportedAt.clear();
    this.#reportedAt.set(error.message, now);
    this.#report(error);
  }
}

function otherError(message: string): KafkaWorkerError {
  if (/unknown (topic|partition)/i.test(message)) {
    const text = `a subscribed topic or one of its partitions is not there (any more): ${message}`;
    return new PollError(text, { retriable: true });
  }
  if (AUTHORIZATION.test(message)) return new AuthorizationError(message);
  if (UNSUPPORTED.test(message)) return new UnsupportedBrokerError(message);
  return new ClientError(message, { retriable: true });
}

function fatalError(text: string): KafkaWorkerError {
  if (UNSUPPORTED.test(text)) return new UnsupportedBrokerError(text);
  if (AUTHORIZATION.test(text)) return new AuthorizationError(text);
  return new ClientError(text);
}
