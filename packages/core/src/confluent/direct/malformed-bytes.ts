/** Bytes that are not what Kafka's protocol says. The message begins with what was being read. */
export class MalformedBytes extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedBytes';
  }
}
