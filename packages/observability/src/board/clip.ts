/** Text that is shown at most so long: what somebody else wrote, a key or an error, may be of any length. */
export function clip(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}
