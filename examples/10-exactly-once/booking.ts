import { type KafkaRecord, NonRetriableError } from '@kafka-worker/core';

/** One side of a payment: what it adds to an account. */
export interface Booking {
  readonly account: string;
  readonly change: number;
}

/** What is in an account before its first booking. */
export const OPENING_BALANCE = 1_000;

/**
 * A record is a payment, from the account of an order's customer to that of its seller. Both sides come in the order of the accounts' names, whoever
 * pays: payments that run at once lock the accounts in one order, and never wait for each other in a circle.
 * @throws NonRetriableError for a record that is no payment
 */
export function bookingsOf({ value }: Pick<KafkaRecord<unknown, unknown>, 'value'>): readonly Booking[] {
  const { customer, seller, amount } = parsed(String(value));
  if (typeof customer !== 'string' || typeof seller !== 'string' || !Number.isSafeInteger(amount))
    throw new NonRetriableError(`expected a payment { customer, seller, amount }, received ${String(value)}`);
  const bookings = [
    { account: customer, change: -Number(amount) },
    { account: seller, change: Number(amount) },
  ];
  return customer < seller ? bookings : bookings.reverse();
}

/** What a payment is known by: where its record is. */
export function paymentOf({ partition, offset }: Pick<KafkaRecord<unknown, unknown>, 'partition' | 'offset'>): string {
  return `${partition}@${offset}`;
}

/** Balances after these bookings, of the accounts that they name. */
export function balancesAfter(bookings: Iterable<Booking>): Map<string, number> {
  const balances = new Map<string, number>();
  for (const { account, change } of bookings)
    balances.set(account, (balances.get(account) ?? OPENING_BALANCE) + change);
  return balances;
}

function parsed(value: string): Record<'customer' | 'seller' | 'amount', unknown> {
  try {
    return JSON.parse(value) as Record<'customer' | 'seller' | 'amount', unknown>;
  } catch (cause) {
    throw new NonRetriableError(`expected a payment as JSON, received ${value}`, { cause });
  }
}
