import type { Headers, TopicPartition } from './record.ts';

/** How bytes become a key or a value, on first use. What it throws becomes a `DeserializationError`, goes through `onFailure` and is never retried. */
export interface Deserializer<T> {
  deserialize(bytes: Buffer | null, record: TopicPartition & { readonly offset: number; readonly headers: Headers }): T;
}

/** The Standard Schema interface, which zod, valibot and arktype implement. See https://standardschema.dev */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
    validate(value: unknown): unknown;
  };
}

/**
 * JSON, checked by a schema if one is given.
 * A null value (a tombstone) is refused unless `nullable`.
 */
export function json<T = unknown>(schema?: StandardSchema<T>): Deserializer<T>;
export function json<T = unknown>(
  schema: StandardSchema<T> | undefined,
  options: { readonly nullable: true },
): Deserializer<T | null>;
export function json<T = unknown>(
  schema?: StandardSchema<T>,
  options: { readonly nullable?: boolean } = {},
): Deserializer<T | null> {
  return {
    deserialize(bytes) {
      if (bytes === null) {
        if (options.nullable === true) return null;
        throw new Error('it is null; json(schema, { nullable: true }) takes nulls');
      }
      const value: unknown = JSON.parse(bytes.toString('utf8'));
      return schema === undefined ? (value as T) : validated(schema, value);
    },
  };
}

interface SchemaResult {
  readonly value?: unknown;
  readonly issues?: readonly { readonly message: string; readonly path?: readonly unknown[] }[];
}

function validated<T>(schema: StandardSchema<T>, value: unknown): T {
  const result = schema['~standard'].validate(value) as SchemaResult | PromiseLike<SchemaResult>;
  if ('then' in result) {
    result.then(undefined, () => {});
    throw new Error(
      `the schema (${schema['~standard'].vendor}) validates asynchronously; only synchronous schemas can be used here`,
    );
  }
  if (result.issues === undefined) return result.value as T;
  throw new Error(result.issues.map(describeIssue).join('; '));
}

function describeIssue(issue: { readonly message: string; readonly path?: readonly unknown[] }): string {
  const path = (issue.path ?? []).map((part) =>
    String(typeof part === 'object' && part !== null && 'key' in part ? part.key : part),
  );
  return path.length === 0 ? issue.message : `${path.join('.')}: ${issue.message}`;
}

/** UTF-8 text; null stays null. */
export function string(): Deserializer<string | null> {
  return { deserialize: (bytes) => (bytes === null ? null : bytes.toString('utf8')) };
}
