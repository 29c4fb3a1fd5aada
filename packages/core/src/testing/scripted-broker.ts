import { createServer, type Server, type Socket } from 'node:net';
import { Writer } from '@platformatic/kafka';
import { ByteReader } from '../confluent/direct/byte-reader.ts';

/** What a broker says of one partition; what is left out is as if nothing were wrong, and nothing there. */
interface ScriptedPartition {
  readonly partition: number;
  readonly errorCode?: number;
  readonly end?: number;
  readonly stableEnd?: number;
  readonly aborted?: readonly { readonly producerId: number; readonly firstOffset: number }[];
  readonly replica?: number;
  readonly records?: Buffer;
  readonly diverging?: { readonly epoch: number; readonly endOffset: number };
  readonly leader?: { readonly id: number; readonly epoch: number };
}

/** What one partition is asked for. */
export interface AskedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly offset: number;
  readonly lastFetchedEpoch: number;
  /** Of this partition, and of the whole answer. */
  readonly maxBytes: number;
  readonly answerMaxBytes: number;
  /** Of whoever asks. */
  readonly rack: string;
}

/** What becomes of a request for records: an answer; silence; the connection goes, at once or in the middle of the answer; these bytes as they are. */
export type ScriptedAnswer =
  | { readonly partitions: readonly ScriptedPartition[]; readonly throttleMs?: number; readonly errorCode?: number }
  | 'silence'
  | 'close'
  | 'close in the middle'
  | Buffer;

const FETCH = 1;
const METADATA = 3;
const UNKNOWN_TOPIC = 3;
const FLEXIBLE_HEADER = Buffer.from([0]);

/** A broker that answers as a test says. It knows one topic, `t`, and itself. */
export class ScriptedBroker {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly id: number;
  #port = 0;
  /** All requests for records so far. */
  readonly asked: AskedPartition[][] = [];
  answer: (asked: readonly AskedPartition[]) => ScriptedAnswer | Promise<ScriptedAnswer> = () => ({ partitions: [] });
  /** What goes out in place of an answer for records, and whether the connection then ends; `earlier` are the answers before it, as they were. */
  mangle: (frame: Buffer, earlier: readonly Buffer[]) => readonly (Buffer | 'close')[] = (frame) => [frame];
  readonly #earlier: Buffer[] = [];
  topicId = '0123456789abcdef0123456789abcdef';
  topicError = 0;
  /** Other topics, which it does not know. */
  unknownTopics: readonly string[] = [];
  /** Who leads each partition of the topic, and all brokers that there are. */
  leaders: readonly { readonly id: number; readonly epoch: number }[] = [];
  brokers: readonly ScriptedBroker[] = [this];
  metadataRequests = 0;
  /** The newest versions that it takes of requests for records, and for metadata. */
  newest = { fetch: 17, metadata: 12 };

  constructor(id: number) {
    this.id = id;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** It stays known when the broker is gone, as in metadata. */
  get port(): number {
    return this.#port;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as { port: number }).port;
    return this;
  }

  /** Closes all connections; new ones are taken. */
  drop(): void {
    for (const socket of this.#sockets) {
      // One that is being ended cannot be reset: its handle would stay open.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.drop();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    let pending = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE()) {
        const end = 4 + pending.readInt32BE();
        void this.#answer(socket, pending.subarray(4, end));
        pending = pending.subarray(end);
      }
    });
  }

  async #answer(socket: Socket, request: Buffer): Promise<void> {
    const key = request.readInt16BE(0);
    const correlationId = request.subarray(4, 8);
    const frame = (body: Buffer, header = FLEXIBLE_HEADER): Buffer => {
      const bytes = Buffer.concat([Buffer.alloc(4), correlationId, header, body]);
      bytes.writeInt32BE(bytes.length - 4);
      return bytes;
    };
    if (key === METADATA) {
      this.metadataRequests++;
      socket.write(frame(this.#metadata()));
    } else if (key !== FETCH) {
      // Versions: of two requests.
      const { fetch, metadata } = this.newest;
      const versions = [0, 0, 3, 0, FETCH, 0, 4, 0, fetch, 0, 0, METADATA, 0, 0, 0, metadata, 0, 0, 0, 0, 0, 0];
      socket.write(frame(Buffer.from(versions), Buffer.alloc(0)));
    } else {
      const asked = readAsked(request);
      this.asked.push(asked);
      const answer = await this.answer(asked);
      if (answer === 'silence') return;
      if (answer === 'close') socket.resetAndDestroy();
      else if (answer === 'close in the middle')
        socket.end(Buffer.concat([Buffer.from([0, 0, 1, 0]), correlationId, Buffer.alloc(50)]));
      else if (Buffer.isBuffer(answer)) socket.write(answer);
      else this.#send(socket, frame(this.#response(asked[0]?.topicId ?? this.topicId, answer)));
    }
  }

  #send(socket: Socket, frame: Buffer): void {
    for (const part of this.mangle(frame, this.#earlier)) {
      if (part === 'close') socket.end();
      else socket.write(part);
    }
    this.#earlier.push(frame);
  }

  #metadata(): Buffer {
    return Writer.create()
      .appendInt32(0)
      .appendArray([...this.brokers], (w, { id, port }) => {
        w.appendInt32(id).appendString('127.0.0.1').appendInt32(port).appendString(null);
      })
      .appendString('c')
      .appendInt32(1)
      .appendArray(['t', ...this.unknownTopics], (w, name) => {
        const isKnown = name === 't';
        w.appendInt16(isKnown ? this.topicError : UNKNOWN_TOPIC).appendString(name);
        w.append(Buffer.from(this.topicId, 'hex')).appendBoolean(false);
        w.appendArray(isKnown ? [...this.leaders.entries()] : [], (inner, [partition, { id, epoch }]) => {
          inner.appendInt16(0).appendInt32(partition).appendInt32(id).appendInt32(epoch);
          for (let list = 0; list < 3; list++) inner.appendUnsignedVarInt(1);
        });
        w.appendInt32(0);
      })
      .appendTaggedFields().buffer;
  }

  #response(topicId: string, answer: Exclude<ScriptedAnswer, string | Buffer>): Buffer {
    const { partitions, throttleMs = 0, errorCode = 0 } = answer;
    const writer = Writer.create().appendInt32(throttleMs).appendInt16(errorCode).appendInt32(0);
    writer
      .appendUnsignedVarInt(2)
      .append(Buffer.from(topicId, 'hex'))
      .appendUnsignedVarInt(partitions.length + 1);
    for (const partition of partitions) appendPartition(writer, partition);
    return writer.appendTaggedFields().appendTaggedFields().buffer;
  }
}

function appendPartition(writer: Writer, given: ScriptedPartition): void {
  const { partition, errorCode = 0, end = 0, stableEnd = end, aborted = [], replica = -1, records } = given;
  writer.appendInt32(partition).appendInt16(errorCode).appendInt64(BigInt(end)).appendInt64(BigInt(stableEnd));
  writer.appendInt64(0n);
  writer.appendArray([...aborted], (w, { producerId, firstOffset }) => {
    w.appendInt64(BigInt(producerId)).appendInt64(BigInt(firstOffset));
  });
  writer.appendInt32(replica);
  writer.appendUnsignedVarInt((records?.length ?? 0) + 1);
  if (records !== undefined) writer.append(records);
  const fields: [number, Buffer][] = [];
  const { diverging, leader } = given;
  if (diverging !== undefined)
    fields.push([
      0,
      Writer.create().appendInt32(diverging.epoch).appendInt64(BigInt(diverging.endOffset)).appendTaggedFields().buffer,
    ]);
  if (leader !== undefined)
    fields.push([1, Writer.create().appendInt32(leader.id).appendInt32(leader.epoch).appendTaggedFields().buffer]);
  writer.appendUnsignedVarInt(fields.length);
  for (const [tag, field] of fields) writer.appendUnsignedVarInt(tag).appendUnsignedVarInt(field.length).append(field);
}

function readAsked(request: Buffer): AskedPartition[] {
  const clientIdBytes = Math.max(0, request.readInt16BE(8));
  const reader = new ByteReader(request, 10 + clientIdBytes + 1);
  reader.int32();
  reader.int32();
  const answerMaxBytes = reader.int32();
  reader.int8();
  reader.int32();
  reader.int32();
  const asked = reader
    .array(() => {
      const topicId = reader.uuid();
      const partitions = reader.array(() => {
        const partition = reader.int32();
        const leaderEpoch = reader.int32();
        const offset = reader.int64();
        const lastFetchedEpoch = reader.int32();
        reader.int64();
        const maxBytes = reader.int32();
        reader.taggedFields();
        return { topicId, partition, leaderEpoch, offset, lastFetchedEpoch, maxBytes, answerMaxBytes };
      });
      reader.taggedFields();
      return partitions;
    })
    .flat();
  // Topics that a session forgets.
  reader.array(() => {});
  const rack = reader.string();
  return asked.map((partition) => ({ ...partition, rack }));
}
