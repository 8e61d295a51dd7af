import { isSince } from "../versions";

/** Lists the improvements that NGINX got after this version. */
export function upgradeGains(version: string): string[] {
    return gains.filter(({ since }) => !isSince(version, since)).map(({ since, gain }) => `${gain} (NGINX ${since})`);
}

const gains = [
    { since: "1.23.2", gain: "TLS sessions resume by tickets with rotated keys" },
    { since: "1.27.4", gain: "a reload loses no request of a keep-alive connection" },
];
