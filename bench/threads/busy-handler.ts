/** A fixed amount of work, some 5 ms on one core of two: waiting for a time instead would not slow down when cores are short. */
const ROUNDS = 3_000_000;

/** Computes, in JavaScript alone: native code may take locks that all threads of a process share. */
export default function busy(): void {
  let state = 2_463_534_242;
  for (let i = 0; i < ROUNDS; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  if (state === 0) throw new Error('it never becomes 0');
}
