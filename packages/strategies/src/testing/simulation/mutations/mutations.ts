import { clientMutations } from './client-mutations.ts';
import { engineMutations } from './engine-mutations.ts';
import { handlerMutations } from './handler-mutations.ts';
import type { Mutation } from './mutation.ts';
import { transactionMutations } from './transaction-mutations.ts';

/** Every rule that is broken on purpose. */
export const mutations: readonly Mutation[] = [
  ...engineMutations,
  ...clientMutations,
  ...handlerMutations,
  ...transactionMutations.map((mutation) => ({ ...mutation, isOfTransactions: true })),
];
