import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { imageSchema, isRegistry } from "../../imageNames";
import { secret } from "../../secrecy";
import { upstreamVersion } from "../compatibility";
import { whenKnown } from "../../validation";

/** A registry from which nodes pull images. RKE keeps its password in its state and in the Docker configuration of the kubelets. */
export interface RkePrivateRegistryArgs {
    /** Registry without a scheme, such as `registry.example.com:5000` or `registry.example.com/mirror`. `docker.io` gives a login to Docker Hub. */
    url: pulumi.Input<string>;
    /** User that logs in. Refused without `password`. @default no login */
    user?: pulumi.Input<string>;
    /** Password or token of `user`. Secret. Refused without `user`. @default no login */
    password?: pulumi.Input<string>;
    /** Takes the images of RKE from this registry. Two such registries are refused. @default false */
    isDefault?: pulumi.Input<boolean>;
}

/** Keys of images that RKE 1.8.14 starts for the plugins canal, flannel and calico, with their key below `system_images` in cluster.yml. */
export const systemImageKeys: Record<string, string> = {
    etcd: "etcd",
    alpine: "alpine",
    nginxProxy: "nginx_proxy",
    certDownloader: "cert_downloader",
    kubernetesServicesSidecar: "kubernetes_services_sidecar",
    coredns: "coredns",
    corednsAutoscaler: "coredns_autoscaler",
    nodelocal: "nodelocal",
    kubernetes: "kubernetes",
    flannel: "flannel",
    flannelCni: "flannel_cni",
    calicoNode: "calico_node",
    calicoCni: "calico_cni",
    calicoControllers: "calico_controllers",
    calicoCtl: "calico_ctl",
    calicoFlexVol: "calico_flexvol",
    canalNode: "canal_node",
    canalCni: "canal_cni",
    canalControllers: "canal_controllers",
    canalFlannel: "canal_flannel",
    canalFlexVol: "canal_flexvol",
    podInfraContainer: "pod_infra_container",
    ingress: "ingress",
    ingressBackend: "ingress_backend",
    ingressWebhook: "ingress_webhook",
    metricsServer: "metrics_server",
};

const registrySchema = z
    .strictObject({
        url: z.string().refine(isRegistry, "expected a registry without a scheme, such as registry.example.com:5000"),
        user: z.string().min(1).optional(),
        password: secret(z.string().min(1)).optional(),
        isDefault: z.boolean().default(false),
    })
    .refine(({ user, password }) => (user === undefined) === (password === undefined), {
        message: "expected user and password, or neither.",
        ...whenKnown(z.looseObject({ user: z.string().optional(), password: z.string().optional() })),
    });

/** Schema of the private registries. */
export const privateRegistriesSchema = z
    .array(registrySchema)
    .superRefine(
        (registries, context) => {
            registries.forEach(({ url, isDefault }, index) => {
                const problem = (key: string, message: string) => context.addIssue({ code: "custom", path: [index, key], message });
                const before = registries.slice(0, index);
                if (before.some(other => other.url === url)) problem("url", "expected each registry once");
                if (isDefault && before.some(other => other.isDefault)) problem("isDefault", "expected one default registry");
            });
        },
        whenKnown(z.array(z.looseObject({ url: z.string(), isDefault: z.boolean().optional() }))),
    )
    .default([]);

/** Schema of the images that replace those of RKE. */
export const systemImagesSchema = z
    .record(z.string(), imageSchema)
    .superRefine(
        (images, context) => {
            const message = `expected one of ${Object.keys(systemImageKeys).join(", ")}. Rename it.`;
            for (const key of Object.keys(images).filter(each => !(each in systemImageKeys)))
                context.addIssue({ code: "custom", path: [key], message });
        },
        whenKnown(z.looseObject({})),
    )
    .default({});

/** Reports a Kubernetes image of another version. RKE would start this image and go by `kubernetesVersion` in everything else. */
export function reportKubernetesImage(
    { kubernetesVersion, systemImages }: { kubernetesVersion: string; systemImages?: Record<string, unknown> },
    context: z.core.$RefinementCtx,
): void {
    const tag = /:(\w[-.\w]*)$/.exec(String(systemImages?.kubernetes ?? ""))?.[1];
    const version = upstreamVersion(kubernetesVersion);
    if (tag === undefined || tag === version || tag.startsWith(`${version}-`)) return;
    const message = `expected an image with a tag of ${version}, the version in kubernetesVersion`;
    context.addIssue({ code: "custom", path: ["systemImages", "kubernetes"], message });
}

/** Returns the keys of cluster.yml for registries and images. */
export function registriesYml(registries: z.output<typeof privateRegistriesSchema>, images: Record<string, string>): object {
    return {
        ...(registries.length > 0 && {
            private_registries: registries.map(({ url, user, password, isDefault }) => ({
                url,
                ...(user !== undefined && { user, password }),
                ...(isDefault && { is_default: true }),
            })),
        }),
        ...(Object.keys(images).length > 0 && {
            system_images: Object.fromEntries(Object.entries(images).map(([key, image]) => [systemImageKeys[key], image])),
        }),
    };
}

/** A login of a private registry, with its place in `cluster.privateRegistries`. */
export interface RegistryLogin {
    index: number;
    url: string;
    user: string;
    password: string;
}

/** Returns the logins of private registries, or undefined without one. */
export function registryLogins(registries: z.output<typeof privateRegistriesSchema>): RegistryLogin[] | undefined {
    const logins = registries.flatMap(({ url, user, password }, index) =>
        user === undefined || password === undefined ? [] : { index, url, user, password },
    );
    return logins.length > 0 ? logins : undefined;
}
