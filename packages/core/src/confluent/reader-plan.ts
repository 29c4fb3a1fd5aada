import { InvalidOptionError, MissingDependencyError } from '../errors.ts';
import { toError } from '../kafka-worker-error.ts';
import { within } from './bounded.ts';
import type { ClientProperties, ResolvedConfluentKafkaOptions } from './client-options.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { type DirectOptions, directOptions } from './direct/direct-options.ts';
import { againstDirect } from './direct/fetch-versions.ts';
import { textOf } from './direct/leaders.ts';

/** Who is to fetch a consumer's records, as far as the options tell. */
export type ReaderPlan =
  | { readonly reader: 'librdkafka'; readonly why: string }
  | { readonly reader: 'direct' | 'auto'; readonly options: DirectOptions };

/** The same, with what that one needs. */
export type LoadedReader =
  | { readonly reader: 'librdkafka'; readonly why: string }
  | { readonly reader: 'direct' | 'auto'; readonly options: DirectOptions; readonly library: DirectLibrary };

/** Who fetches them. */
export type ChosenReader = { readonly why: string } & (
  | { readonly reader: 'librdkafka' }
  | { readonly reader: 'direct'; readonly options: DirectOptions; readonly library: DirectLibrary }
);

/** Brokers that librdkafka has just reached answer within this. */
const ANSWER_MS = 5_000;

const CHOSEN = 'it is the reader that was chosen';

/** Pure. @throws InvalidOptionError when the direct reader is asked for, and the options stand against it */
export function readerPlan(kafka: ResolvedConfluentKafkaOptions, properties: ClientProperties): ReaderPlan {
  const { reader } = kafka;
  if (reader === 'librdkafka') return { reader, why: CHOSEN };
  try {
    return { reader, options: directOptions(kafka, properties) };
  } catch (error) {
    if (reader === 'direct' || !(error instanceof InvalidOptionError)) throw error;
    return { reader: 'librdkafka', why: `${error.option} is given, which only librdkafka follows` };
  }
}

/** @throws MissingDependencyError when the direct reader is asked for, and what it needs does not load */
export async function loadReader(
  plan: ReaderPlan,
  load: typeof loadDirectLibrary = loadDirectLibrary,
): Promise<LoadedReader> {
  if (plan.reader === 'librdkafka') return plan;
  try {
    return { ...plan, library: await load() };
  } catch (cause) {
    const message = `what the reader 'direct' needs does not load: ${toError(cause).message}`;
    if (plan.reader === 'auto') return { reader: 'librdkafka', why: message };
    const hint = "Install @kafka-worker/core anew, or choose reader 'librdkafka'";
    throw new MissingDependencyError(`${message}. ${hint}`, { cause });
  }
}

/** Settles what `auto` leaves open by asking a broker, which librdkafka has reached: where none answers in time it is librdkafka, which tells why. */
export async function chooseReader(
  loaded: LoadedReader,
  signal: AbortSignal,
  timeoutMs: number = ANSWER_MS,
): Promise<ChosenReader> {
  if (loaded.reader === 'librdkafka') return loaded;
  const { options, library } = loaded;
  if (loaded.reader === 'direct') return { reader: 'direct', options, library, why: CHOSEN };
  const ending = new AbortController();
  const late = (): Error => new Error(`no answer within ${timeoutMs} ms`);
  try {
    const asking = againstDirect(library, options, timeoutMs, AbortSignal.any([signal, ending.signal]));
    const against = await within(asking, timeoutMs, late);
    if (against !== undefined) return { reader: 'librdkafka', why: against };
    return { reader: 'direct', options, library, why: 'nothing stands against it' };
  } catch (error) {
    return { reader: 'librdkafka', why: `the direct reader reaches no broker: ${textOf(error)}` };
  } finally {
    ending.abort();
  }
}
