const partsOf = (version: string): string[] => version.replace(/^v/, "").split(".");

/** Returns the numbers of a version, without suffixes. */
const numbersOf = (version: string): number[] => partsOf(version).map(part => parseInt(part, 10));

/** Returns the major and minor number of a version: `1.30` of `v1.30.14-rancher1-1`. */
export const minorOf = (version: string): string => partsOf(version).slice(0, 2).join(".");

/** Returns the minor number of a version: 30 of `v1.30.14`. */
export const minorNumber = (version: string): number => numbersOf(version)[1];

/** Reports whether a version is a given one or a later one. Only the numbers that `since` has count. */
export function isSince(version: string, since: string): boolean {
    const found = numbersOf(version);
    const first = numbersOf(since)
        .map((number, index) => found[index] - number)
        .find(difference => difference !== 0);
    return first === undefined || first > 0;
}
