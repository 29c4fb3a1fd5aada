import { describe, expect, it } from '@jest/globals';
import { type AsMember, callWithMember } from './call-with-member.ts';
import type { Done, NativeConsumer } from './native-client.ts';

const member = {} as NativeConsumer;

/** A consumer that gives the call up when it is told to. */
function impatient(): { readonly asMember: AsMember; readonly giveUp: (why: Error) => void } {
  let giveUp: (why: Error) => void = () => {};
  const asMember: AsMember = (run) =>
    new Promise((resolve, reject) => {
      giveUp = reject;
      run(member, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  return { asMember, giveUp: (why) => giveUp(why) };
}

function answers(): { readonly done: Done; readonly heard: unknown[] } {
  const heard: unknown[] = [];
  return { done: (error) => void heard.push(error), heard };
}

describe('a native call of a producer and a consumer', () => {
  it('is under way until it has answered, also when the consumer waits no longer', async () => {
    const { asMember, giveUp } = impatient();
    const { done, heard } = answers();
    let answer: Done = () => {};
    const call = (_member: NativeConsumer, answered: Done): void => {
      answer = answered;
    };
    const membership = callWithMember(asMember, call, done);
    giveUp(new Error('no answer'));
    await expect(membership).rejects.toThrow('no answer');
    expect(heard).toEqual([]);
    answer(null, undefined);
    expect(heard).toEqual([null]);
  });

  it('has ended at once when the consumer lets nobody make it', async () => {
    const { done, heard } = answers();
    const refused = new Error('no member');
    const membership = callWithMember(
      () => Promise.reject(refused),
      () => {},
      done,
    );
    await expect(membership).rejects.toBe(refused);
    expect(heard).toEqual([refused]);
  });

  it('has ended at once when it cannot be made', async () => {
    const { asMember } = impatient();
    const { done, heard } = answers();
    const refused = new TypeError('native');
    const membership = callWithMember(
      asMember,
      () => {
        throw refused;
      },
      done,
    );
    await expect(membership).rejects.toBe(refused);
    expect(heard).toEqual([refused]);
  });

  it('tells both what it has failed with', async () => {
    const { asMember } = impatient();
    const { done, heard } = answers();
    const failure = new Error('fenced');
    await expect(callWithMember(asMember, (_member, answered) => answered(failure, undefined), done)).rejects.toBe(
      failure,
    );
    expect(heard).toEqual([failure]);
  });
});
