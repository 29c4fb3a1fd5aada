import { MalformedBytes } from './malformed-bytes.ts';

/** Bytes that are right, for all that can be seen, and that only librdkafka reads. */
export class UnsupportedBytes extends MalformedBytes {
  constructor(message: string) {
    super(message);
    this.name = 'UnsupportedBytes';
  }
}
