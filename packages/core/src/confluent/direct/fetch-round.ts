import type { ClusterMap } from './cluster-map.ts';
import type { DirectOptions } from './direct-options.ts';
import type { DirectPartition } from './direct-partition.ts';
import type { FetchPartition, FetchRequest } from './fetch-request.ts';

/** How long a broker may wait for records while a partition of it has no room: that one is asked for again soon. */
const SHORT_WAIT_MS = 10;

/** A partition that is asked for, and how it stood then. */
interface Asked {
  readonly owned: DirectPartition;
  readonly moves: number;
}

/** A request to one broker, and for whom it is: by topic id and partition. */
export interface FetchRound {
  readonly request: FetchRequest;
  readonly asked: ReadonlyMap<string, Asked>;
}

/**
 * Makes the request for these partitions of one broker. Those come first that got nothing the last time: only the first one gets a batch that is
 * larger than it may be.
 */
export function fetchRound(
  partitions: readonly DirectPartition[],
  map: ClusterMap,
  options: DirectOptions,
  isOneFull: boolean,
  now: number,
): FetchRound {
  const topics = new Map<string, FetchPartition[]>();
  const asked = new Map<string, Asked>();
  const starved = partitions.filter((owned) => owned.isStarved);
  for (const owned of starved.length === 0 ? partitions : starved.concat(partitions.filter((one) => !one.isStarved))) {
    const { partition, next, moves, comparedEpoch } = owned;
    const topicId = map.topicIdOf(owned.topic);
    if (topicId === undefined) continue;
    const list = topics.get(topicId) ?? [];
    topics.set(topicId, list);
    list.push({
      partition,
      leaderEpoch: map.leaderOf(owned)?.epoch ?? -1,
      offset: next,
      lastFetchedEpoch: comparedEpoch,
      maxBytes: options.partitionBytes,
    });
    asked.set(askedKey(topicId, partition), { owned, moves });
  }
  const { minBytes, responseBytes, isReadCommitted } = options;
  // It holds for all that the request asks for.
  const asksLeaders = partitions.some((owned) => owned.isLeaderOnlyAt(now));
  const rack = asksLeaders ? '' : options.rack;
  const maxWaitMs = isOneFull ? Math.min(SHORT_WAIT_MS, options.maxWaitMs) : options.maxWaitMs;
  return {
    request: {
      ...{ maxWaitMs, minBytes, maxBytes: responseBytes, isReadCommitted, rack },
      topics: Array.from(topics, ([topicId, list]) => ({ topicId, partitions: list })),
    },
    asked,
  };
}

/** How a round names what it asks for. */
export function askedKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}
