import { z } from "zod";
import { isAddressOrName, isPort } from "./remote/addresses";

// Source of all rules: the grammar of references in github.com/distribution/reference. Docker, containerd, RKE and Helm follow it.

const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const repositoryPath = new RegExp(`^${component}(?:/${component})*$`);
const registry = /^(?:([^/:[\]]+)|\[([^/[\]]+)\])(?::(\d{1,5}))?(?:\/(.+))?$/;
const digest = "@sha256:[0-9a-f]{64}";
const tag = "\\w[-.\\w]{0,127}";
const reference = new RegExp(`^(.+?)(:${tag})?(${digest})?$`);
const version = new RegExp(`^${tag}(?:${digest})?$`);

/** Reports whether a text is the path of a repository in a registry, such as `rancher/rancher`. */
export const isRepositoryPath = (text: string): boolean => repositoryPath.test(text);

/** Reports whether a text is a registry: a host with or without a port, and with or without a path. */
export function isRegistry(text: string): boolean {
    const [, host, ipv6, port, path] = registry.exec(text) ?? [];
    const isHost = host === undefined ? z.ipv6().safeParse(ipv6).success : isAddressOrName(host);
    return isHost && isPort(port ?? "443") && (path === undefined || isRepositoryPath(path));
}

/** Reports whether a text is a repository, with or without its registry, and without a tag. */
const isRepository = (text: string) => isRepositoryPath(text) || (text.includes("/") && isRegistry(text));

/** Schema of an image with its tag or digest. */
export const imageSchema = z.string().refine(text => {
    const [, repository, ...versions] = reference.exec(text) ?? [];
    return repository !== undefined && isRepository(repository) && versions.some(each => each !== undefined);
}, "expected an image with its tag or digest, such as registry.example.com/rancher/mirrored-coredns-coredns:1.9.4");

/** Schema of an image without its version. With `@sha256` at its end, its tag is the digest. */
export const repositorySchema = z
    .string()
    .refine(
        text => isRepository(text.replace(/@sha256$/, "")),
        "expected an image without scheme and tag, in lower case, such as registry.example.com:5000/rancher/rancher",
    );

/** Schema of the tag of an image, with or without a digest. An empty string is the chart's own tag. */
export const tagSchema = z.string().refine(text => text === "" || version.test(text), "expected a tag such as v2.11.3, or an empty string");

/** Schema of a registry, or of an organization in Docker Hub. An empty string is Docker Hub. */
export const registrySchema = z
    .string()
    .refine(
        text => text === "" || isRegistry(text) || isRepositoryPath(text),
        "expected a registry without a scheme and a slash at its end, such as registry.example.com:5000",
    );
