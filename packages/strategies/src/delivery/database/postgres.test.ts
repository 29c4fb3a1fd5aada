import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { type PostgresClient, postgres } from './postgres.ts';

/** A client that answers as it is told. */
class FakeClient extends EventEmitter implements PostgresClient {
  readonly statements: string[] = [];
  readonly released: unknown[] = [];
  readonly answers = new Map<string, () => { command?: string }>();

  query(sql: string) {
    this.statements.push(sql);
    return new Promise<{ rows: []; command: string }>((resolve) => {
      resolve({ rows: [], command: sql, ...this.answers.get(sql)?.() });
    });
  }

  release(error?: Error | boolean): void {
    this.released.push(error);
  }
}

function fails(message: string): () => never {
  return () => {
    throw new Error(message);
  };
}

function databaseOf(client: FakeClient) {
  return postgres({ connect: () => Promise.resolve(client) });
}

describe('postgres', () => {
  it('commits, and gives the connection back without a listener', async () => {
    const client = new FakeClient();
    const result = await databaseOf(client).transaction(async (transaction) => {
      await transaction.query('INSERT');
      expect(client.listenerCount('error')).toBe(1);
      return 7;
    });
    expect(result).toBe(7);
    expect(client.statements).toEqual(['BEGIN', 'INSERT', 'COMMIT']);
    expect(client.released).toEqual([undefined]);
    expect(client.listenerCount('error')).toBe(0);
  });

  it('rolls back, and tells what was thrown', async () => {
    const client = new FakeClient();
    await expect(databaseOf(client).transaction(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(client.statements).toEqual(['BEGIN', 'ROLLBACK']);
    expect(client.released).toEqual([undefined]);
  });

  it('throws a connection away that cannot roll back, and tells what was thrown first', async () => {
    const client = new FakeClient();
    client.answers.set('ROLLBACK', fails('gone'));
    await expect(databaseOf(client).transaction(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(client.released).toMatchObject([{ message: 'gone' }]);
  });

  it('rejects when the commit fails, and throws the connection away', async () => {
    const client = new FakeClient();
    client.answers.set('COMMIT', fails('gone'));
    await expect(databaseOf(client).transaction(() => Promise.resolve())).rejects.toThrow('gone');
    expect(client.released).toMatchObject([{ message: 'gone' }]);
  });

  it('rejects when the server has made a rollback of the commit', async () => {
    const client = new FakeClient();
    client.answers.set('COMMIT', () => ({ command: 'ROLLBACK' }));
    await expect(databaseOf(client).transaction(() => Promise.resolve())).rejects.toThrow(
      'answered COMMIT with ROLLBACK',
    );
  });

  it('survives a connection that breaks while nothing is asked of it, and throws it away', async () => {
    const client = new FakeClient();
    await databaseOf(client).transaction(async () => {
      client.emit('error', new Error('terminated'));
    });
    expect(client.released).toMatchObject([{ message: 'terminated' }]);
  });
});
