/**
 * Sockets with their framing, TLS and SASL, of @platformatic/kafka. A module of its own, into which the build puts the part of that package that is used
 * (`tsdown.kafka.config.ts`): loading all of it holds the event loop for half a second.
 */
export { Connection, Writer } from '@platformatic/kafka';
