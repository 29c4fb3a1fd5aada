import { UsageError } from '../../scripts/command-line.ts';
import { withDirectoryLock } from '../../scripts/directory-lock.ts';

/**
 * A directory that no other process has until it is released, or until this process is gone, however it goes: PGlite itself lets two write to one.
 * @throws UsageError when another process has it
 */
export async function exclusiveDirectory(path: string): Promise<{ readonly release: () => Promise<void> }> {
  let release = (): void => {};
  const isReleased = new Promise<void>((resolve) => {
    release = resolve;
  });
  return await new Promise((resolve, reject) => {
    const held = withDirectoryLock(
      path,
      async () => {
        resolve({
          release: async () => {
            release();
            await held;
          },
        });
        await isReleased;
      },
      {
        onWait: (pid) => {
          throw new UsageError(`--data: process ${pid} has ${path}. It is for one at a time; --postgres is for many.`);
        },
      },
    );
    held.catch(reject);
  });
}
