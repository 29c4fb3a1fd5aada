import { UsageError } from '../../scripts/command-line.ts';
import { createTopic } from '../harness/example-topic.ts';
import { GroupView } from '../harness/group-view.ts';
import { readTopic } from '../harness/read-topic.ts';
import type { ExampleSetup } from '../harness/run-example.ts';
import { type Audit, audit } from './audit.ts';
import { type Booking, balancesAfter, bookingsOf, paymentOf } from './booking.ts';

/** The bookings that `--mode kafka` writes, in a topic of the group's own. */
export interface Statement {
  readonly topic: string;
  /** What a reader with `read_committed` finds there, compared with the payments that the group has committed. */
  readonly audit: () => Promise<Audit>;
}

/**
 * The topic with the bookings, which is created if it does not exist.
 * @throws UsageError on a cluster that has no transactions
 */
export async function openStatement({ kafka, groupId, topics }: Omit<ExampleSetup, 'plugins'>): Promise<Statement> {
  const { transactionRefusal } = kafka;
  if (transactionRefusal !== undefined)
    throw new UsageError(`--mode kafka needs a broker, named by --kafka HOST:PORT: ${transactionRefusal}.`);
  const topic = `${groupId}.bookings`;
  const [payments = ''] = topics;
  const partitions = await looking(payments, async (view) => (await view.endOffsets()).size);
  if (!(await looking(topic, (view) => view.exists()))) await createTopic(kafka, topic, partitions);
  return {
    topic,
    audit: async () => {
      const committed = await looking(payments, (view) => view.committed());
      const paid = (await readTopic(kafka, payments)).filter(
        ({ partition, offset }) => offset < (committed.get(partition) ?? 0),
      );
      const expected = paid.flatMap((record) =>
        bookingsOf(record).map((booking) => ({ payment: paymentOf(record), ...booking })),
      );
      const written = (await readTopic(kafka, topic)).map(({ value }) => JSON.parse(String(value)) as WrittenBooking);
      const balances = audit(balancesAfter(written), balancesAfter(expected));
      const { repeated, lost } = compared(written, expected);
      const counts = { bookings: written.length, repeatedBookings: repeated, lostBookings: lost };
      const figures = { ...counts, ...balances.figures };
      if (repeated + lost === 0) return { ...balances, figures };
      return { figures, problem: `${repeated} bookings are there more often than once, and ${lost} are not there` };
    },
  };

  async function looking<Seen>(at: string, look: (view: GroupView) => Promise<Seen>): Promise<Seen> {
    const view = await GroupView.open(kafka, groupId, at);
    try {
      return await look(view);
    } finally {
      await view.close();
    }
  }
}

interface WrittenBooking extends Booking {
  readonly payment: string;
}

function compared(
  written: readonly WrittenBooking[],
  expected: readonly WrittenBooking[],
): { readonly repeated: number; readonly lost: number } {
  const left = new Map<string, number>();
  const count = (bookings: readonly WrittenBooking[], by: number): void => {
    for (const { payment, account, change } of bookings) {
      const name = `${payment} ${account} ${change}`;
      left.set(name, (left.get(name) ?? 0) + by);
    }
  };
  count(written, 1);
  count(expected, -1);
  let repeated = 0;
  let lost = 0;
  for (const difference of left.values()) {
    repeated += Math.max(0, difference);
    lost += Math.max(0, -difference);
  }
  return { repeated, lost };
}
