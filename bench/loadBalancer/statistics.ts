/** Figures of repetitions. */
export function median(values: number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median of the ratios of measurements that were taken one after the other: how fast the machine is just then falls out. */
export function pairedRatio(values: number[], base: number[]): number {
    return median(values.map((value, index) => value / base[index]));
}

export function spread(values: number[], digits = 0): string {
    return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
}

/** The same things in another order each time, so that no one always comes first. */
export function shuffled<T>(things: T[], round: number): T[] {
    const turned = [...things.slice(round % things.length), ...things.slice(0, round % things.length)];
    return round % 2 === 0 ? turned : turned.reverse();
}
