/** A figure at a time. */
export interface Point {
  readonly minutes: number;
  readonly value: number;
}

/** How much a figure grows per minute: the slope of the straight line that is nearest to the points by least squares. */
export function slopePerMinute(points: readonly Point[]): number {
  const mean = (of: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [meanMinutes, meanValue] = [mean(({ minutes }) => minutes), mean(({ value }) => value)];
  const variance = mean(({ minutes }) => (minutes - meanMinutes) ** 2);
  if (variance === 0) throw new RangeError('a slope needs points at two times at least');
  return mean(({ minutes, value }) => (minutes - meanMinutes) * (value - meanValue)) / variance;
}
