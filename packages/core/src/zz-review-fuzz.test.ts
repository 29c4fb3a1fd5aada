import { expect, it } from '@jest/globals';
import type { LaneRule } from './concurrency.ts';
import { InFlight } from './in-flight.ts';
import { at, laneStrategy, lanes, Stage } from './testing/stage.ts';

const across: LaneRule = { by: (one) => { if (String(one.key) === 'q') throw new Error('lane'); return String(one.key); }, across: 'all', active: 100, inside: { width: 1 } };
const turns: LaneRule = { by: 'partition', active: 1, inside: { by: 'key', active: 3, inside: { width: 1 } } };
const rated: LaneRule = { by: 'key', active: 100, startsPerSecond: 5, inside: { width: 1 } };

function rng(seed: number): () => number {
  let s = seed >>> 0;
  return () => { s = (s + 0x6d2b79f5) >>> 0; let t = s; t = Math.imul(t ^ (t >>> 15), t | 1); t ^= t + Math.imul(t ^ (t >>> 7), t | 61); return ((t ^ (t >>> 14)) >>> 0) / 4294967296; };
}

const forgiven = new Map<object, { r: number; b: number }>();
const original = InFlight.prototype.forgive;
const problems: string[] = [];
InFlight.prototype.forgive = function (this: InFlight, r: number, b: number): void {
  original.call(this, r, b);
  const own = forgiven.get(this) ?? { r: 0, b: 0 };
  own.r += r; own.b += b;
  forgiven.set(this, own);
};

const originalAdd = InFlight.prototype.polled;
InFlight.prototype.polled = function (this: InFlight, n: number): void {
  originalAdd.call(this, n);
  if (!forgiven.has(this)) forgiven.set(this, { r: 0, b: 0 });
};

async function run(seed: number): Promise<string[]> {
  const random = rng(seed);
  const pick = <T,>(some: readonly T[]): T => some[Math.floor(random() * some.length)] as T;
  forgiven.clear();
  problems.length = 0;
  const names = ['a', 'b', 'c', 'd', 'q'];
  const keys = [0, 1].map(() => Array.from({ length: 5 + Math.floor(random() * 20) }, () => pick(names)));
  const kind = pick(['perKey', 'parallel', 'across', 'turns', 'rated', 'serial']);
  const rule = { perKey: lanes.perKey, parallel: lanes.parallel, across, turns, rated, serial: lanes.serial }[kind] as LaneRule;
  const isBatch = random() < 0.4;
  const scope = kind === 'parallel' || kind === 'serial' ? 'partition' : pick(['partition', 'key']);
  const policy = pick(['retry', 'skip', 'dead-letter', 'freeze', 'mixed']);
  const log: string[] = [`seed ${seed} ${kind} ${isBatch ? 'batch' : ''} ${policy}`];
  const decide = (f: any): any => {
    const p = policy === 'mixed' ? pick(['retry', 'skip', 'dead-letter', 'freeze']) : policy;
    if (p === 'retry' && f.error?.code === 'LANE') return { do: 'skip' };
    if (p === 'retry') return { do: 'retry', afterMs: pick([10, 500, 5000]) };
    if (p === 'skip') return { do: 'skip' };
    if (p === 'dead-letter') return { do: 'dead-letter', topic: 'dead', brake: false };
    return { do: 'freeze', scope };
  };
  const stage = new Stage(keys, {
    concurrency: laneStrategy(rule), isBatch, ...(isBatch ? { batch: { maxRecords: 1 + Math.floor(random() * 4), maxWaitMs: pick([0, 0, 1000, 20_000]) } } : {}),
    onFailure: { kind: 'failure', name: 'x', decide }, revokeDrainMs: 8_000, stuckAfterMs: 3_000,
    ...(random() < 0.5 ? { limits: { inFlightRecords: 6 } } : {}),
    ...(random() < 0.3 ? { handlerTimeoutMs: 1_500 } : {}),
    onStuckHandler: pick(['fail', 'release']),
  } as any);
  for (const p of [0, 1]) for (const o of keys[p]!.keys()) {
    const name = `${p}@${o}`;
    if (random() < 0.4) stage.durations.set(name, pick([1, 50, 400, 3_000]));
    if (random() < 0.2) { const n = pick([1, 1, 2, 3]); stage.failing.set(name, (attempt) => (attempt <= n && random() < 0.9 ? new Error(name) : undefined)); }
    if (isBatch && random() < 0.05) stage.failingAlone.set(name, new Error(`${name} alone`));
  }
  const settled = new Set<string>();
  const origPush = stage.calls.push.bind(stage.calls);
  const started: number[] = [0, 0];
  (stage.calls as any).push = (...called: string[]) => {
    if (kind !== 'parallel') for (const name of called) {
      const [p, o] = name.split('@').map(Number) as [number, number];
      if (keys[p]![o] === 'q' && kind === 'across') continue;
      for (let i = started[p]!; i < o; i++)
        if ((kind === 'serial' || keys[p]![i] === keys[p]![o]) && !settled.has(`${p}@${i}`) && !called.includes(`${p}@${i}`)) problems.push(`${name} overtook ${p}@${i}`);
    }
    return origPush(...called);
  };
  const begin = async () => {
    await stage.start({}, (worker) => {
      worker.on('settled', ({ record }) => void settled.add(`${record.partition}@${record.offset}`));
      worker.on('assigned', ({ partitions }) => { for (const { partition } of partitions) started[partition] = stage.committed(partition) ?? 0; });
    });
  };
  const check = () => {
    const s = stage.worker.status();
    if (s.inFlightRecords < 0 || s.inFlightBytes < 0) problems.push('negative in flight');
    for (const { r, b } of forgiven.values()) if (r < 0 || b < 0) problems.push(`negative forgiven ${r} ${b}`);
    const last = [...forgiven.values()].at(-1);
    if (last && s.state === 'running' && last.r > s.inFlightRecords) problems.push(`forgiven ${last.r} of ${s.inFlightRecords}`);
  };
  await begin();
  for (let i = 0; i < 8; i++) {
    const op = pick(['wait', 'wait', 'revoke', 'revoke', 'lose', 'rebalance', 'rebalance', 'pause', 'resume', 'unfreeze', 'stop', 'fails', 'send', 'kick']);
    log.push(op);
    const group = stage.kafka.group('g');
    try {
      const p = pick([0, 1]);
      if (op === 'revoke') group.revoke([at(p)]);
      if (op === 'lose') group.lose([at(p)]);
      if (op === 'rebalance') group.rebalance();
      if (op === 'kick') group.kick();
      if (op === 'pause') stage.worker.pause([at(p)]);
      if (op === 'resume') stage.worker.resume();
      if (op === 'fails') stage.kafka.failSends(2, { retriable: true });
      if (op === 'send') { const k = pick(names); keys[p]!.push(k); stage.send(p, [k]); }
      if (op === 'unfreeze') for (const q of [0, 1]) for (const key of [undefined, ...names]) await stage.worker.unfreeze({ ...at(q), ...(key ? { key } : {}), skip: random() < 0.3 } as any).catch(() => {});
    } catch (e) { log.push(String(e)); }
    if (op === 'stop') {
      const stopping = stage.worker.stop({ timeoutMs: pick([0, 500, 5_000]), mode: pick(['in-flight', 'in-flight', 'drain']) } as any);
      let done = false; void stopping.then(() => (done = true));
      await stage.advance(pick([0, 10, 300]));
      if (random() < 0.5) { try { const p = pick([0, 1]); if (random() < 0.5) group.revoke([at(p)]); else group.lose([at(p)]); log.push('during'); } catch {} }
      if (random() < 0.3) stage.worker.resume();
      await stage.advance(90_000);
      if (!done) { problems.push('stop hangs'); break; }
      if (stage.kafka.clock.pendingTimers > 0) problems.push(`timers ${stage.kafka.clock.pendingTimers}`);
      try { group.rebalance(); } catch {}
      await begin();
    }
    await stage.advance(pick([0, 1, 30, 200, 2_000, 12_000]));
    check();
    if (!['running'].includes(stage.worker.status().state)) { await stage.advance(60_000); try { group.rebalance(); } catch {} log.push('restart ' + stage.worker.status().state); await begin(); }
  }
  await stage.stop();
  stage.failing.clear(); stage.failingAlone.clear(); stage.durations.clear();
  if (stage.kafka.clock.pendingTimers > 0) problems.push(`timers ${stage.kafka.clock.pendingTimers}`);
  try { stage.kafka.group('g').rebalance(); } catch {}
  await begin();
  await stage.advance(120_000);
  for (const p of [0, 1]) if ((stage.committed(p) ?? 0) !== keys[p]!.length && !(policy === 'freeze' || policy === 'mixed' || kind === 'across')) problems.push(`partition ${p} at ${stage.committed(p)} of ${keys[p]!.length}: ${stage.reasons()}`);
  const s = stage.worker.status();
  const last = [...forgiven.values()].at(-1);
  if (last && s.inFlightRecords === 0 && (last.r !== 0 || last.b !== 0)) problems.push(`forgiven is left ${last.r} ${last.b}`);
  const broken = await stage.end();
  return [...broken, ...problems].length > 0 ? [...new Set([...broken, ...problems]), log.join(' ')] : [];
}

it('fuzz', async () => {
  const from = Number(process.env.SEED ?? 1);
  const n = Number(process.env.RUNS ?? 150);
  const found: string[][] = [];
  for (let seed = from; seed < from + n && found.length < 8; seed++) {
    const out = await Promise.race([run(seed), new Promise<string[]>((r) => setTimeout(() => r([`hang at seed ${seed}`]), 5_000).unref?.())]);
    if (out.length > 0) found.push(out);
  }
  expect(found).toEqual([]);
}, 100_000);
