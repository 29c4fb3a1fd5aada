/** How V8 quotes what it was given, at most 40 characters of it. */
const QUOTED = /(?:\.{3})?"[\s\S]{0,45}"(?:\.{3})?(?= is not valid JSON)/g;

/** The text of an error without what `JSON.parse` says of the text that it could not read: that is a record's value, as a rule. */
export function withoutQuotedJson(text: string): string {
  return text.includes(' is not valid JSON') ? text.replace(QUOTED, '[redacted]') : text;
}
