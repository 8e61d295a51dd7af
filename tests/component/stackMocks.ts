import * as pulumi from "@pulumi/pulumi";
import { brotliCompressSync } from "zlib";
import { RancherHaArgs } from "../../components/rancherHa";
import { issue } from "../../lab/certificates";
import { said } from "../probes";
import { hostKey, sshKey } from "../ssh";
import { Recorded, RecordOptions } from "./recorder";

export const hostname = "rancher.example.com";
export { hostKey, sshKey };
export const bootstrapPassword = "generated-password-of-admin";

/** The stack's own CA and its server certificate, in place of those that the tls provider makes. */
export const root = issue({ name: "Rancher CA", ca: true });
export const server = issue({ name: hostname, names: [`DNS:${hostname}`], by: root });

const kubeCa = issue({ name: "kube-ca", ca: true });
const kubeAdmin = issue({ name: "kube-admin", by: kubeCa });
const pem = (issued: typeof root) => ({ certificatePEM: issued.certificate, keyPEM: issued.privateKey });

/** RKE's state as the runner prints it. */
export const packedState = brotliCompressSync(
    JSON.stringify({ desiredState: { certificatesBundle: { "kube-ca": pem(kubeCa), "kube-admin": pem(kubeAdmin) } } }),
).toString("base64");

/** A piece of every secret, in the form that the resources get. None may appear outside the engine's secrets. */
export const secretTexts = [
    ...[sshKey, root.privateKey, server.privateKey].map(key => key.split("\n")[1]),
    Buffer.from(kubeAdmin.privateKey).toString("base64").slice(60, 120),
    packedState.slice(0, 60),
    bootstrapPassword,
];

/** Reports whether a command is the latch of a drift epoch. */
export const isLatch = (name: string) => /-drift(-\d)?$/.test(name);

/** Returns the finding that a latch got, without its time. */
export const findingOf = ({ inputs }: Recorded): string => inputs.stdin.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z\n/, "");

/** Returns the state of a new resource beside its inputs, by type. */
export const mock: NonNullable<RecordOptions["mock"]> = ({ type, name, inputs }) => {
    switch (type) {
        case "command:local:Command":
            return { stdout: /-(pki|rotation-\d+)$/.test(name) ? pulumi.secret(packedState) : isLatch(name) ? "0" : "ok" };
        case "command:remote:Command":
            return { stdout: "fingerprint" };
        case "tls:index/privateKey:PrivateKey":
            return { privateKeyPem: pulumi.secret((name.endsWith("-root-key") ? root : server).privateKey) };
        case "tls:index/selfSignedCert:SelfSignedCert":
            return { certPem: root.certificate, validityEndTime: new Date(Date.now() + 3650 * 86_400_000).toISOString() };
        case "tls:index/certRequest:CertRequest":
            return { certRequestPem: "request" };
        case "tls:index/locallySignedCert:LocallySignedCert":
            return { certPem: server.certificate };
        case "random:index/randomPassword:RandomPassword":
            return { result: pulumi.secret(bootstrapPassword) };
        case "kubernetes:helm.sh/v3:Release":
            return { status: { version: inputs.version, revision: 1, status: "deployed" } };
        default:
            return {};
    }
};

/** Answers every probe with `in sync`. */
export const call = () => ({ stdout: said("in sync") });

const roles = ["controlplane" as const, "etcd" as const, "worker" as const];

export const rancherHaArgs: RancherHaArgs = {
    hostname,
    ssh: { privateKey: sshKey },
    loadBalancer: { hosts: [{ address: "192.0.2.21", hostKey }] },
    cluster: {
        kubernetesVersion: "v1.30.14-rancher1-1",
        nodes: [31, 32, 33].map(last => ({ address: `192.0.2.${last}`, user: "rke", hostKey, roles })),
    },
    rancher: { chartVersion: "2.11.3" },
};
