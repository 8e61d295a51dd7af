export function median(values: number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Returns half the distance between the lowest and the highest value. */
export const halfRange = (values: number[]) => (Math.max(...values) - Math.min(...values)) / 2;

/**
 * Returns the median of the ratios of measurements that were taken one after the other. So the present speed of the machine cancels out.
 */
export function pairedRatio(values: number[], base: number[]): number {
    return median(values.map((value, index) => value / base[index]));
}

export function spread(values: number[], digits = 0): string {
    return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
}

/** Returns the same things in another order for each round, so that none of them always comes first. */
export function shuffled<T>(things: T[], round: number): T[] {
    const turned = [...things.slice(round % things.length), ...things.slice(0, round % things.length)];
    return round % 2 === 0 ? turned : turned.reverse();
}
