import type { Plugin } from './plugin.ts';
import type { KafkaRecord, OutgoingRecord } from './record.ts';

/** What a message is once every plugin has seen it; `source` is the record that it stands for. */
export type PassOutgoing = (message: OutgoingRecord, source: KafkaRecord<unknown, unknown>) => OutgoingRecord;

/** Lets every plugin that wants to see, or change, what is sent do so, in their order. */
export function passOutgoing(plugins: readonly Plugin[]): PassOutgoing {
  const passes = plugins.flatMap((plugin) => (plugin.outgoing === undefined ? [] : [plugin.outgoing.bind(plugin)]));
  return (message, source) => passes.reduce((outgoing, pass) => pass(outgoing, source), message);
}
