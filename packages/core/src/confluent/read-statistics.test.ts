import { describe, expect, it } from '@jest/globals';
import { readStatistics } from './read-statistics.ts';

const text = JSON.stringify({
  ...{ msg_cnt: 3, msg_size: 300, tx_bytes: 10, rx_bytes: 20 },
  brokers: {
    'localhost:9092/bootstrap': { nodeid: -1, outbuf_cnt: 9, waitresp_cnt: 9, rtt: { avg: 9, cnt: 9 } },
    'localhost:9092/1': { nodeid: 1, outbuf_cnt: 1, waitresp_cnt: 2, rtt: { avg: 1_500, cnt: 4 } },
    'localhost:9093/2': { nodeid: 2, outbuf_cnt: 0, waitresp_cnt: 0, rtt: { avg: 0, cnt: 0 } },
  },
  topics: { t: { partitions: { 0: { fetchq_cnt: 5, fetchq_size: 50 }, '-1': { fetchq_cnt: 0, fetchq_size: 0 } } } },
});
const brokers = [
  { id: 1, rttMs: 1.5, openRequests: 3 },
  { id: 2, rttMs: undefined, openRequests: 0 },
];
const bytes = { sentBytes: 10, receivedBytes: 20 };

describe("librdkafka's statistics", () => {
  it('are read by what kind of client they are of, and name brokers by their id, with none for what they were before', () => {
    expect(readStatistics('consumer', text)).toEqual({
      ...{ client: 'consumer', queuedRecords: 5, queuedBytes: 50, brokers },
      ...bytes,
    });
    expect(readStatistics('producer', text)).toEqual({
      ...{ client: 'producer', queuedRecords: 3, queuedBytes: 300, brokers },
      ...bytes,
    });
  });

  it('are nothing where there is nothing', () => {
    expect(readStatistics('consumer', '{}')).toMatchObject({ queuedRecords: 0, receivedBytes: 0, brokers: [] });
    expect(() => readStatistics('consumer', '')).toThrow(SyntaxError);
  });
});
