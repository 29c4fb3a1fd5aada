/** Replaces a method of a class until the returned function is called. */
export function patchMethod<Class extends object, Name extends keyof Class>(
  prototype: Class,
  name: Name,
  replacement: (original: Class[Name]) => Class[Name],
): () => void {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  if (descriptor === undefined) throw new Error(`there is no ${String(name)} any more`);
  Object.defineProperty(prototype, name, { ...descriptor, value: replacement(descriptor.value as Class[Name]) });
  return () => void Object.defineProperty(prototype, name, descriptor);
}
