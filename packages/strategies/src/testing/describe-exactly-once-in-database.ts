import { afterAll, beforeAll, describe } from '@jest/globals';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { describeDecidedInDatabase } from './describe-decided-in-database.ts';
import { describeHandlersInDatabase } from './describe-handlers-in-database.ts';
import { describeOwnersInDatabase } from './describe-owners-in-database.ts';
import { describeRecordsInDatabase } from './describe-records-in-database.ts';
import { describeTroublesOfDatabase } from './describe-troubles-of-database.ts';

/** What `exactlyOnceInDatabase` promises, on any database. */
export function describeExactlyOnceInDatabase(name: string, open: () => Promise<DatabaseUnderTest>): void {
  describe(`exactlyOnceInDatabase on ${name}`, () => {
    let under: DatabaseUnderTest;
    beforeAll(async () => {
      under = await open();
    }, 60_000);
    afterAll(() => under.close());

    for (const suite of [
      describeRecordsInDatabase,
      describeDecidedInDatabase,
      describeOwnersInDatabase,
      describeHandlersInDatabase,
      describeTroublesOfDatabase,
    ])
      suite(() => under);
  });
}
