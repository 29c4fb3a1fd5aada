import { createHash } from 'node:crypto';

/** A fixed amount of work, some 5 ms on one core of two: waiting for a time instead would not slow down when cores are short. */
const HASHES = 4_400;

/** Computes. */
export default function busy(): void {
  let hash = 'x';
  for (let i = 0; i < HASHES; i++) hash = createHash('sha256').update(hash).digest('hex');
  if (hash === '') throw new Error('no hash');
}
