import type { ClientStatistics } from '../client-statistics.ts';

/** What is read of librdkafka's statistics. @see https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md */
interface Statistics {
  readonly msg_cnt?: number;
  readonly msg_size?: number;
  readonly tx_bytes?: number;
  readonly rx_bytes?: number;
  readonly brokers?: Readonly<Record<string, Broker>>;
  readonly topics?: Readonly<Record<string, { readonly partitions?: Readonly<Record<string, Partition>> }>>;
}

interface Broker {
  readonly nodeid?: number;
  readonly outbuf_cnt?: number;
  readonly waitresp_cnt?: number;
  /** In microseconds. */
  readonly rtt?: { readonly avg?: number; readonly cnt?: number };
}

interface Partition {
  readonly fetchq_cnt?: number;
  readonly fetchq_size?: number;
}

/** Reads the text of librdkafka's statistics. @throws SyntaxError for a text that is no JSON */
export function readStatistics(client: ClientStatistics['client'], text: string): ClientStatistics {
  const { msg_cnt, msg_size, tx_bytes, rx_bytes, brokers = {}, topics = {} } = JSON.parse(text) as Statistics;
  const partitions = Object.values(topics).flatMap(({ partitions: all = {} }) => Object.values(all));
  const isConsumer = client === 'consumer';
  return {
    client,
    queuedRecords: isConsumer ? sum(partitions.map(({ fetchq_cnt }) => fetchq_cnt)) : (msg_cnt ?? 0),
    queuedBytes: isConsumer ? sum(partitions.map(({ fetchq_size }) => fetchq_size)) : (msg_size ?? 0),
    sentBytes: tx_bytes ?? 0,
    receivedBytes: rx_bytes ?? 0,
    // Those without a number are what it was told to begin with, and the coordinator's connection, which is one of the others twice.
    brokers: Object.values(brokers).flatMap(({ nodeid = -1, outbuf_cnt = 0, waitresp_cnt = 0, rtt }) =>
      nodeid < 0
        ? []
        : {
            id: nodeid,
            rttMs: rtt?.avg !== undefined && (rtt.cnt ?? 0) > 0 ? rtt.avg / 1_000 : undefined,
            openRequests: Math.max(0, outbuf_cnt) + Math.max(0, waitresp_cnt),
          },
    ),
  };
}

function sum(values: readonly (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + Math.max(0, value ?? 0), 0);
}
