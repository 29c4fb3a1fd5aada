import { openPGlite } from '../testing/database-under-test.ts';
import { describeExactlyOnceInDatabase } from '../testing/describe-exactly-once-in-database.ts';

describeExactlyOnceInDatabase('PGlite', openPGlite);
