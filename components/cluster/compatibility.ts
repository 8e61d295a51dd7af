/**
 * These tables list the versions that work together. Sources: RKE 1.8.14's bundled data and release notes, and the Rancher charts'
 * `kubeVersion` and release notes. The documentation of Rancher on RKE1 ends with Rancher 2.11.
 */

/** The RKE release these tables are for. */
export const rkeVersion = "1.8.14";

/** Kubernetes versions that RKE 1.8.14 installs from public images. */
const communityKubernetes = [
    "v1.27.16-rancher1-1",
    "v1.28.14-rancher1-1",
    "v1.29.9-rancher1-1",
    "v1.30.5-rancher1-1",
    "v1.30.14-rancher1-1",
    "v1.31.2-rancher2-1",
    "v1.31.10-rancher1-1",
    "v1.32.6-rancher1-1",
];

/** Kubernetes versions that RKE 1.8.14 knows but whose images need a subscription. */
const subscriptionKubernetes = ["v1.31.14-rancher1-1", "v1.32.13-rancher1-3"];

const olderDocker = [
    "1.13",
    "17.03",
    "17.06",
    "17.09",
    "18.06",
    "18.09",
    "19.03",
    "20.10",
    "23.0",
    "24.0",
    "25.0",
    "26.0",
    "26.1",
    "27.0",
    "27.1",
    "27.2",
];

/** Docker versions (major.minor) that RKE 1.8.14 accepts for a Kubernetes minor. */
const docker: Record<string, string[]> = {
    "1.27": [...olderDocker, "27.3", "27.4"],
    "1.28": [...olderDocker, "27.3", "27.4", "27.5"],
    "1.29": [...olderDocker, "27.3", "27.4", "27.5"],
    "1.30": [...olderDocker, "27.3", "27.4", "27.5", "28.0", "28.1", "28.2", "28.3"],
    "1.31": [...olderDocker, "27.3", "27.4", "27.5", "28.0", "28.1", "28.2", "28.3"],
    "1.32": [...olderDocker, "27.3", "27.4", "27.5", "28.0", "28.1", "28.2", "28.3"],
};

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
    return `expected a Kubernetes version that RKE ${rkeVersion} installs (${communityKubernetes.join(", ")}). The nearest is ${nearest}`;
}

/** Returns the Docker versions, as major.minor, that RKE accepts for a Kubernetes version. */
export function acceptedDocker(kubernetesVersion: string): string[] {
    return docker[minorOf(kubernetesVersion)] ?? [];
}

/** Returns the reason why a Rancher chart does not support a Kubernetes version, or undefined. */
export function checkRancherOnKubernetes(chartVersion: string, kubernetesVersion: string, distribution: Distribution): string | undefined {
    const known = rancher[minorOf(chartVersion)];
    const kubernetes = Number(minorOf(kubernetesVersion).split(".")[1]);
    const fits = (range: { oldest: number; newest: number; onRke: boolean }) =>
        range.oldest <= kubernetes && kubernetes <= range.newest && (range.onRke || distribution !== Distribution.Rke);
    if (known && fits(known)) return undefined;
    const wanted = Number(minorOf(chartVersion).split(".")[1]);
    const nearest = Object.entries(rancher)
        .filter(([, range]) => fits(range))
        .map(([minor]) => minor)
        .sort((a, b) => Math.abs(Number(a.split(".")[1]) - wanted) - Math.abs(Number(b.split(".")[1]) - wanted))[0];
    const advice = nearest
        ? `The nearest that works is Rancher ${nearest}.x`
        : `No Rancher known here works on Kubernetes ${minorOf(kubernetesVersion)}`;
    if (!known) return `expected a Rancher chart of ${Object.keys(rancher).join(", ")}. ${advice}`;
    if (!known.onRke && distribution === Distribution.Rke) {
        return `expected a Rancher that is documented on a cluster built with RKE 1; that ends with 2.11. ${advice}`;
    }
    return `expected a Rancher for Kubernetes ${minorOf(kubernetesVersion)}; ${minorOf(chartVersion)} works on 1.${known.oldest} to 1.${known.newest}. ${advice}`;
}

function minorOf(version: string): string {
    return version.replace(/^v/, "").split(".").slice(0, 2).join(".");
}

function nearestVersion(version: string, known: string[]): string {
    const number = (text: string) => {
        const [major, minor, patch] = (/(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? ["", "1", "30", "14"]).slice(1).map(Number);
        return major * 1e6 + minor * 1e3 + (patch || 0);
    };
    return [...known].sort((a, b) => Math.abs(number(a) - number(version)) - Math.abs(number(b) - number(version)))[0];
}
