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

const pathOf = (file: string) => join(__dirname, "host", file);
const program = (file: string, variables: Record<string, string> = {}) => shellProgram([pathOf(file)], variables);

/** Returns a program that looks into folders of the node, also where its user may not. */
const lookingProgram = (file: string, variables: Record<string, string> = {}) =>
    shellProgram([pathOf("rkeTools.sh"), pathOf(file)], variables);

export const hostPrograms = (): HostPrograms => ({
    startProgram: program("startContainers.sh"),
    noEtcdProgram: noEtcdProgram(),
    etcdHealthProgram: program("etcdHealth.sh"),
    // The runner puts the peers in.
    removeMembersProgram: program("removeMembers.sh", { peers: "@peers@" }),
    removeContainersProgram: program("removeContainers.sh", { ended: endedContainers.join("|") }),
    leftoverProgram: lookingProgram("leftover.sh", { names: rkeContainers.join("|") }),
    encryptionKeyProgram: encryptionKeyProgram(),
});

export const encryptionKeyProgram = () => lookingProgram("encryptionKey.sh");
export const noEtcdProgram = () => lookingProgram("noEtcd.sh");
export const etcdAnswersProgram = () => program("etcdAnswers.sh");
export const listSnapshotsProgram = () => lookingProgram("listSnapshots.sh");

/** The runner puts the time in. Without versions, a node may run any Docker. */
export const preflightProgram = (dockerVersions: string[], caCertificates: string[]) =>
    lookingProgram("preflight.sh", { docker_versions: dockerVersions.join(" "), now: "@now@", ca_certificates: caCertificates.join("\n") });
