// Runs workers one after another, and prints how many hidden classes the objects have in which the rooms of their engines were given their parts,
// room by room. Needs --allow-natives-syntax. Argument: how many workers.
import { writeSync } from 'node:fs';
import { type Runtime, Session } from 'node:inspector';
import { Worker } from '../worker.ts';
import { fakeKafka } from './fake-kafka.ts';

const [count = '30'] = process.argv.slice(2);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const inspector = new Session();
inspector.connect();

type Objects = Map<string, Runtime.RemoteObjectId>;

/** The objects that an object's own fields hold, private ones included, by their names. */
function fieldsOf(objectId: Runtime.RemoteObjectId): Objects {
  const fields: Objects = new Map();
  inspector.post('Runtime.getProperties', { objectId, ownProperties: true }, (_error, answer) => {
    const { result, privateProperties = [] } = answer as Runtime.GetPropertiesReturnType & {
      privateProperties?: Runtime.PropertyDescriptor[];
    };
    for (const { name, value } of [...result, ...privateProperties])
      if (value?.objectId !== undefined && value.type === 'object') fields.set(name, value.objectId);
  });
  return fields;
}

/** What each room of a worker's engine was given, and each room inside those. */
function partsOf(worker: Worker): Objects {
  const parts: Objects = new Map();
  const addFrom = (name: string, room: Runtime.RemoteObjectId, depth: number): void => {
    for (const [field, id] of fieldsOf(room)) {
      if (field === '#parts') parts.set(name, id);
      else if (depth > 0) addFrom(`${name}.${field}`, id, depth - 1);
    }
  };
  Object.assign(globalThis, { lookedAt: worker });
  inspector.post('Runtime.evaluate', { expression: 'lookedAt' }, (_error, answer) => {
    const { result } = answer;
    const run = fieldsOf(result.objectId as string).get('#run') as string;
    addFrom('engine', fieldsOf(run).get('engine') as string, 2);
  });
  return parts;
}

function haveSameClass(a: Runtime.RemoteObjectId, b: Runtime.RemoteObjectId): boolean {
  let isSame = false;
  const request = {
    objectId: a,
    functionDeclaration: 'function (other) { return %HaveSameMap(this, other); }',
    arguments: [{ objectId: b }],
  };
  inspector.post('Runtime.callFunctionOn', request, (_error, answer) => {
    isSame = (answer as Runtime.CallFunctionOnReturnType).result.value === true;
  });
  return isSame;
}

/** One object of each hidden class. */
const seen = new Map<string, Runtime.RemoteObjectId[]>();
for (let i = 0; i < Number(count); i++) {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
  const worker = new Worker({ kafka, clock: kafka.clock, logger: quiet, groupId: 'g', topics: 't', handler: () => {} });
  await worker.start();
  for (const [room, parts] of partsOf(worker)) {
    const classes = seen.get(room) ?? [];
    seen.set(room, classes);
    if (!classes.some((known) => haveSameClass(known, parts))) classes.push(parts);
  }
  await worker.stop();
}
writeSync(1, JSON.stringify(Object.fromEntries(Array.from(seen, ([room, classes]) => [room, classes.length]))));
