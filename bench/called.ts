/** Runs a function that takes a callback, and resolves when it calls back. */
export function called<T>(run: (done: (error: unknown, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, value) => {
      if (error instanceof Error) reject(error);
      else resolve(value as T);
    });
  });
}
