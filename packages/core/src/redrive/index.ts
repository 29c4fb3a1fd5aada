export { redrive } from './redrive.ts';
export { redriveCountHeader } from './redrive-message.ts';
export type { RedriveOptions, RedriveProgress, RedriveSummary } from './redrive-options.ts';
