import { setTimeout as sleep } from 'node:timers/promises';
import { Load, type WrittenRecord } from '../load.ts';
import { machineNow } from '../machine-now.ts';
import { untilGroupEnd } from './group-end.ts';
import type { Minimums } from './minimums.ts';
import type { Step } from './plan.ts';
import { isLeave, leaveOf, overlapping } from './repeats.ts';
import type { ThreeBrokers } from './three-brokers.ts';
import type { Fault, TurnRecord } from './turn-record.ts';
import type { TurnScript } from './turn-script.ts';
import { type FleetMember, WorkerFleet } from './worker-fleet.ts';

export interface ChaosTurnOptions {
  readonly protocol: 'classic' | 'consumer';
  /** Who fetches the workers' records. */
  readonly reader: 'direct' | 'librdkafka';
  readonly script: TurnScript;
  readonly brokers: ThreeBrokers;
  /** Where traces and logs of the workers go. */
  readonly directory: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const SETTLE_MS = 90_000;
const LOOK_MS = 50;

/** The group is not as it should be: what follows would say nothing. What has happened until then is judged all the same. */
class GivenUp extends Error {}

/** Makes one group go through a script, at least one round of it. */
export class ChaosTurn {
  readonly #options: ChaosTurnOptions;
  readonly #fleet: WorkerFleet;
  readonly #load: Load;
  readonly #written: WrittenRecord[] = [];
  readonly #faults: Fault[] = [];
  #open: Omit<Fault, 'until'>[] = [];
  #ending: Promise<void>[] = [];

  constructor(options: ChaosTurnOptions) {
    this.#options = options;
    const { protocol, reader, brokers, directory, script } = options;
    const { name, partitions, recordsPerSecond, waitEvery } = script;
    const common = { brokers: brokers.bootstrap, topic: name, groupId: name, protocol, reader, waitEvery };
    this.#fleet = new WorkerFleet(common, directory);
    this.#load = new Load({
      ...{ ...common, partitions, recordsPerSecond },
      written: (record) => this.#written.push(record),
    });
  }

  async run(): Promise<TurnRecord> {
    const { protocol, brokers, script } = this.#options;
    const { partitions, firstWorkers, rounds, isOver } = script;
    const { topic, groupId } = this.#fleet.common;
    await brokers.createTopic(topic, partitions);
    try {
      await this.#load.start();
      for (let count = 0; count < firstWorkers; count++) this.#fleet.join();
      await this.#settle();
      const from = machineNow();
      const givenUp = await this.#untilGivenUp(async () => {
        for (const steps of rounds) {
          for (const step of steps) await this.#do(step);
          this.#fleet.look();
          if (isOver(this.#reached(), (machineNow() - from) / 1_000)) break;
        }
      });
      await this.#do({ do: 'start-broker' });
      const atTheEnd = givenUp ?? (await this.#untilGivenUp(() => this.#settle()));
      this.#closeFaults();
      const until = machineNow();
      await this.#load.stop();
      const end = await untilGroupEnd({ brokers: brokers.bootstrap, topic, groupId, partitions });
      await Promise.all(this.#fleet.members.map((member) => this.#fleet.end(member, 'SIGTERM')));
      return {
        ...{ protocol, from, until, firstWorkers, faults: this.#faults, givenUp: atTheEnd, ...end },
        ...{ workers: this.#fleet.histories, written: this.#written, unacknowledged: this.#load.failed },
      };
    } finally {
      await this.#load.stop(0);
      await this.#fleet.killAll();
    }
  }

  async #untilGivenUp(run: () => Promise<void>): Promise<string | undefined> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof GivenUp)) throw error;
      this.#options.say(error.message);
      return error.message;
    }
    return undefined;
  }

  #reached(): Minimums {
    const left = this.#fleet.histories.filter(isLeave);
    const faults = (kind: Fault['kind']): number => this.#faults.filter((fault) => fault.kind === kind).length;
    return {
      records: this.#written.length,
      joins: this.#fleet.histories.length - this.#options.script.firstWorkers,
      cleanLeaves: left.filter((worker) => overlapping(this.#faults, leaveOf(worker)).length === 0).length,
      kills: faults('kill'),
      brokerRestarts: faults('broker'),
    };
  }

  async #do(step: Step): Promise<void> {
    const { brokers, script, say, signal } = this.#options;
    signal.throwIfAborted();
    switch (step.do) {
      case 'wait':
        await sleep(step.ms, undefined, { signal });
        return;
      case 'run':
        await step.run(signal);
        return;
      case 'settle':
        await this.#settle();
        return;
      case 'join':
        if (this.#fleet.members.length < script.maxWorkers) say(`${this.#fleet.join().name} joins`);
        return;
      case 'leave':
      case 'kill': {
        const member = this.#pick(step.pick);
        if (member === undefined) return;
        const isKill = step.do === 'kill';
        if (isKill) this.#begin('kill', `${member.name} killed`);
        say(`${member.name} ${isKill ? 'is killed' : 'leaves'}`);
        this.#ending.push(this.#fleet.end(member, isKill ? 'SIGKILL' : 'SIGTERM'));
        return;
      }
      case 'end-broker':
        say(`broker ${step.nodeId} ends by ${step.signal}`);
        this.#begin('broker', `broker ${step.nodeId} ended by ${step.signal}`);
        await brokers.end(step.nodeId, step.signal);
        return;
      case 'start-broker':
        if (brokers.isAnyAway) say('the broker starts again');
        await brokers.startAgain();
        return;
    }
  }

  /** One that owns something, and not one of the last. */
  #pick(at: number): FleetMember | undefined {
    this.#fleet.look();
    const { members } = this.#fleet;
    const owners = members.filter(({ owned }) => owned.size > 0);
    return members.length > this.#options.script.minWorkers ? owners[Math.floor(at * owners.length)] : undefined;
  }

  #begin(kind: Fault['kind'], what: string): void {
    this.#open.push({ kind, what, from: machineNow() });
  }

  async #settle(): Promise<void> {
    const { brokers, script, say, signal } = this.#options;
    const startedAt = machineNow();
    const ended = Promise.all(this.#ending);
    this.#ending = [];
    await ended;
    while (this.#fleet.members.length < script.minWorkers + 1) say(`${this.#fleet.join().name} joins`);
    if (this.#open.some(({ kind }) => kind === 'broker')) await brokers.untilInSync(signal);
    while (!this.#isSettled()) {
      if (machineNow() - startedAt > SETTLE_MS) throw new GivenUp(`the group has not settled: ${this.#ownership()}`);
      await sleep(LOOK_MS, undefined, { signal });
    }
    this.#closeFaults();
  }

  #closeFaults(): void {
    for (const fault of this.#open) this.#faults.push({ ...fault, until: machineNow() });
    this.#open = [];
  }

  #isSettled(): boolean {
    const [deserter] = this.#fleet.deserters();
    if (deserter !== undefined) throw new GivenUp(`${deserter} ended though nobody had told it to`);
    const owned = this.#fleet.ownedNow();
    const { partitions } = this.#options.script;
    const { members } = this.#fleet;
    const isShared = owned.length === partitions && new Set(owned).size === partitions;
    return isShared && members.every((member) => member.owned.size > 0);
  }

  #ownership(): string {
    return this.#fleet.members.map(({ name, owned }) => `${name} owns ${[...owned].join(' ') || 'nothing'}`).join(', ');
  }
}
