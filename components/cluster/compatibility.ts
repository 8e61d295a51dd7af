import { minorNumber, minorOf } from "../versions";
import { communityKubernetes, docker, rkeVersion, subscriptionKubernetes } from "./rke/rkeVersions";

/**
 * These tables list the versions that work together. Sources: RKE's own data (rkeVersions.ts), and the Rancher charts' `kubeVersion`
 * and release notes. The documentation of Rancher on RKE1 ends with Rancher 2.11.
 */

/** Kubernetes minors of each Rancher minor. The chart states the upper bound, and only the release notes state the lower one. */
const rancher: Record<string, { oldest: number; newest: number; onRke: boolean }> = {
    "2.9": { oldest: 27, newest: 30, onRke: true },
    "2.10": { oldest: 28, newest: 31, onRke: true },
    "2.11": { oldest: 30, newest: 32, onRke: true },
    "2.12": { oldest: 31, newest: 33, onRke: false },
    "2.13": { oldest: 32, newest: 34, onRke: false },
    "2.14": { oldest: 33, newest: 35, onRke: false },
    "2.15": { oldest: 34, newest: 36, onRke: false },
};

/**
 * First number of the backup charts' versions for each Rancher minor. The operator's own first number is smaller by 99. Source: annotation
 * `catalog.cattle.io/rancher-version` of the chart rancher-backup.
 */
const backupCharts: Record<string, number> = { "2.9": 104, "2.10": 105, "2.11": 106, "2.12": 107, "2.13": 108, "2.14": 109, "2.15": 110 };

/** Kubernetes distributions that Rancher's documentation treats differently. */
export const Distribution = { Rke: "rke", Other: "other" } as const;
export type Distribution = (typeof Distribution)[keyof typeof Distribution];

/** Returns the reason why RKE cannot install a Kubernetes version, or undefined. */
export function checkKubernetesVersion(version: string): string | undefined {
    if (communityKubernetes.includes(version)) return undefined;
    const nearest = nearestVersion(version, communityKubernetes);
    if (subscriptionKubernetes.includes(version)) {
        return `expected a version with public images: those of ${version} need an RKE subscription. The nearest is ${nearest}`;
    }
    const [oldest, newest] = [communityKubernetes[0], communityKubernetes[communityKubernetes.length - 1]];
    return `expected a Kubernetes version that RKE ${rkeVersion} installs, of ${oldest} to ${newest}. The nearest is ${nearest}`;
}

/** Returns the Docker versions, as major.minor, that RKE accepts for a Kubernetes version. */
export function acceptedDocker(kubernetesVersion: string): string[] {
    return docker[minorOf(kubernetesVersion)] ?? [];
}

/** Returns the Kubernetes version without the suffix of RKE. */
export const upstreamVersion = (kubernetesVersion: string): string => kubernetesVersion.replace(/-rancher.*$/, "");

const newestRancher = Math.max(...Object.keys(rancher).map(minorNumber));
const newestKubernetes = Math.max(...Object.values(rancher).map(({ newest }) => newest));

/** Returns a warning when Rancher or Kubernetes is newer than every version of the table. Returns undefined on RKE, which has ended. */
export function untried(chartVersion: string, kubernetesVersion: string, distribution: Distribution): string | undefined {
    if (distribution === Distribution.Rke) return undefined;
    const newer = [
        ...(minorNumber(chartVersion) > newestRancher ? [`Rancher ${minorOf(chartVersion)}`] : []),
        ...(minorNumber(kubernetesVersion) > newestKubernetes ? [`Kubernetes ${minorOf(kubernetesVersion)}`] : []),
    ];
    if (newer.length === 0) return undefined;
    return (
        `${newer.join(" and ")} is newer than the versions tried here, up to Rancher 2.${newestRancher} and Kubernetes 1.${newestKubernetes}. ` +
        "Look into Rancher's support matrix: Helm refuses a chart that does not support the Kubernetes version."
    );
}

/** Returns the reason why a Rancher chart does not support a Kubernetes version, or undefined. */
export function checkRancherOnKubernetes(chartVersion: string, kubernetesVersion: string, distribution: Distribution): string | undefined {
    if (untried(chartVersion, kubernetesVersion, distribution)) return undefined;
    const known = rancher[minorOf(chartVersion)];
    const kubernetes = minorNumber(kubernetesVersion);
    const fits = (range: { oldest: number; newest: number; onRke: boolean }) =>
        range.oldest <= kubernetes && kubernetes <= range.newest && (range.onRke || distribution !== Distribution.Rke);
    if (known && fits(known)) return undefined;
    const wanted = minorNumber(chartVersion);
    const nearest = Object.entries(rancher)
        .filter(([, range]) => fits(range))
        .map(([minor]) => minor)
        .sort((a, b) => Math.abs(minorNumber(a) - wanted) - Math.abs(minorNumber(b) - wanted))[0];
    const where = distribution === Distribution.Rke ? " on a cluster built with RKE" : "";
    const advice = nearest
        ? `The nearest that works is Rancher ${nearest}.x`
        : `No Rancher known here works on Kubernetes ${minorOf(kubernetesVersion)}${where}`;
    if (!known) return `expected a Rancher chart of ${Object.keys(rancher).join(", ")}. ${advice}`;
    if (!known.onRke && distribution === Distribution.Rke) {
        return `expected a Rancher that is documented on a cluster built with RKE 1; that ends with 2.11. ${advice}`;
    }
    return `expected a Rancher for Kubernetes ${minorOf(kubernetesVersion)}; ${minorOf(chartVersion)} works on 1.${known.oldest} to 1.${known.newest}. ${advice}`;
}

/** Returns the reason why a version of the backup charts does not fit a Rancher, or undefined. A Rancher newer than the table has no rule. */
export function checkBackupChart(chartVersion: string, rancherVersion: string): string | undefined {
    const wanted = backupCharts[minorOf(rancherVersion)];
    if (wanted === undefined || Number(chartVersion.split(".")[0]) === wanted) return undefined;
    return `expected a version ${wanted}.x.y+up${wanted - 99}.x.y of the backup charts, which is for Rancher ${minorOf(rancherVersion)}`;
}

function nearestVersion(version: string, known: string[]): string {
    const number = (text: string) => {
        const [major, minor, patch] = (/(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? ["", "1", "30", "14"]).slice(1).map(Number);
        return major * 1e6 + minor * 1e3 + (patch || 0);
    };
    return [...known].sort((a, b) => Math.abs(number(a) - number(version)) - Math.abs(number(b) - number(version)))[0];
}
