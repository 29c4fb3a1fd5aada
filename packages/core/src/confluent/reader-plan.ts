import { InvalidOptionError, MissingDependencyError, toError } from '../errors.ts';
import { within } from './bounded.ts';
import type { ClientProperties, ResolvedConfluentKafkaOptions } from './client-options.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { type DirectOptions, directOptions } from './direct/direct-options.ts';
import { againstDirect } from './direct/fetch-versions.ts';

/** Who is to fetch a consumer's records, as far as the options tell. */
export type ReaderPlan =
  | { readonly reader: 'librdkafka'; readonly why: string }
  | { readonly reader: 'direct' | 'auto'; readonly options: DirectOptions };

/** Who fetches them. */
export type ChosenReader = { readonly why: string } & (
  | { readonly reader: 'librdkafka' }
  | { readonly reader: 'direct'; readonly options: DirectOptions; readonly library: DirectLibrary }
);

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

/**
 * Settles what `auto` leaves open by asking a broker, for at most `timeoutMs`: where none answers it is librdkafka, which tells why.
 * @throws MissingDependencyError when the direct reader is asked for, and what it needs does not load
 */
export async function chooseReader(plan: ReaderPlan, timeoutMs: number): Promise<ChosenReader> {
  if (plan.reader === 'librdkafka') return plan;
  const { options } = plan;
  try {
    const library = await loadDirectLibrary();
    if (plan.reader === 'direct') return { reader: 'direct', options, library, why: CHOSEN };
    const late = (): Error => new Error(`no answer within ${timeoutMs} ms`);
    const against = await within(againstDirect(library, options, timeoutMs), timeoutMs, late);
    if (against !== undefined) return { reader: 'librdkafka', why: against };
    return { reader: 'direct', options, library, why: 'nothing stands against it' };
  } catch (cause) {
    const { message } = toError(cause);
    if (plan.reader === 'auto')
      return { reader: 'librdkafka', why: `whether the other one can is not known: ${message}` };
    const hint = "Install @kafka-worker/core anew, or choose reader 'librdkafka'";
    throw new MissingDependencyError(`what the reader 'direct' needs does not load: ${message}. ${hint}`, { cause });
  }
}
