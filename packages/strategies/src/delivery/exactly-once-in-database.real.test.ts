import { describe, it } from '@jest/globals';
import { openPostgres } from '../testing/database-under-test.ts';
import { describeExactlyOnceInDatabase } from '../testing/describe-exactly-once-in-database.ts';

const url = process.env.POSTGRES_URL;
if (url === undefined)
  describe('exactlyOnceInDatabase on PostgreSQL', () =>
    it.skip('is not tested: POSTGRES_URL names no server', () => {}));
else describeExactlyOnceInDatabase('PostgreSQL', () => openPostgres(url));
