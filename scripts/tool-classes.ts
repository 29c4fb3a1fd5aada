import { existsSync, renameSync, rmSync } from 'node:fs';

/** Whoever cannot use an archive, of another Java say, goes on without it; what it says of that would stand in the tool's output. */
const silently = ['-Xlog:disable', '-Xlog:all=error:stderr'];

let made = 0;

/**
 * Most of what a tool of Kafka takes is reading its classes. The first one leaves an archive of them beside the jars, which the others read in a third of
 * the time (class data sharing, JEP 350).
 */
export function archivedClasses(jars: string): string[] {
  const archive = archiveOf(jars);
  return existsSync(archive) ? [...silently, `-XX:SharedArchiveFile=${archive}`] : [];
}

/** The options with which a tool makes the archive where there is none, and what is to be called when it has ended. */
export function archivingClasses(jars: string): { readonly options: readonly string[]; readonly ended: () => void } {
  const archive = archiveOf(jars);
  if (existsSync(archive)) return { options: [], ended: () => {} };
  const part = `${archive}.${process.pid}-${made++}`;
  const ended = (): void => {
    // Renamed into place as a whole. Of several at once the last one stays.
    if (existsSync(part)) renameSync(part, archive);
    rmSync(part, { force: true });
  };
  return { options: [...silently, `-XX:ArchiveClassesAtExit=${part}`], ended };
}

function archiveOf(jars: string): string {
  return `${jars}-tools.jsa`;
}
