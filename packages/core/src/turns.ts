/**
 * The one loop that owns the engine's state: whatever changes it is a task here, and tasks run one after another, never inside each other.
 * Callbacks (a handler's promise, a timer, a poll, a call of the user's) only add tasks. When none is left, `afterTasks` acts on the new state.
 */
export class Turns {
  readonly #afterTasks: () => void;
  readonly #failed: (error: unknown) => void;
  readonly #tasks: (() => void)[] = [];
  #isRunning = false;

  constructor(afterTasks: () => void, failed: (error: unknown) => void) {
    this.#afterTasks = afterTasks;
    this.#failed = failed;
  }

  /** Runs a task: now, or after the one that is running. */
  run(task: () => void): void {
    if (this.#isRunning) {
      this.#tasks.push(task);
      return;
    }
    this.#isRunning = true;
    try {
      task();
      do {
        for (let i = 0; i < this.#tasks.length; i++) this.#tasks[i]?.();
        if (this.#tasks.length > 0) this.#tasks.length = 0;
        this.#afterTasks();
      } while (this.#tasks.length > 0);
    } catch (error) {
      // A defect of ours: nothing that the state says can be trusted from here on.
      this.#tasks.length = 0;
      this.#failed(error);
    } finally {
      this.#isRunning = false;
    }
  }
}
