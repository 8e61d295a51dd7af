import { join } from "path";
import { shellProgram } from "../../remote/programs";
import { endedContainers, rkeContainers } from "./containerNames";

/** Programs that run on nodes while a cluster changes. */
export interface HostPrograms {
    startProgram: string;
    noEtcdProgram: string;
    etcdHealthProgram: string;
    removeMembersProgram: string;
    removeContainersProgram: string;
    leftoverProgram: string;
    encryptionKeyProgram: string;
}

const program = (file: string, variables: Record<string, string> = {}) => shellProgram([join(__dirname, "host", file)], variables);

export const hostPrograms = (): HostPrograms => ({
    startProgram: program("startContainers.sh"),
    noEtcdProgram: noEtcdProgram(),
    etcdHealthProgram: program("etcdHealth.sh"),
    // The runner puts the peers in.
    removeMembersProgram: program("removeMembers.sh", { peers: "@peers@" }),
    removeContainersProgram: program("removeContainers.sh", { ended: endedContainers.join("|") }),
    leftoverProgram: program("leftover.sh", { names: rkeContainers.join("|") }),
    encryptionKeyProgram: program("encryptionKey.sh"),
});

export const noEtcdProgram = () => program("noEtcd.sh");
export const etcdAnswersProgram = () => program("etcdAnswers.sh");
export const listSnapshotsProgram = () => program("listSnapshots.sh");

/** The runner puts the time in. Without versions, a node may run any Docker. */
export const preflightProgram = (dockerVersions: string[], caCertificates: string[]) =>
    program("preflight.sh", { docker_versions: dockerVersions.join(" "), now: "@now@", ca_certificates: caCertificates.join("\n") });
