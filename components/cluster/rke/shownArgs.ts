import * as pulumi from "@pulumi/pulumi";
import { RkeClusterArgs } from "./args";
import { shownBackup } from "./s3";

/** Returns the arguments without SSH keys, a given RKE state, passwords and S3 keys: a preview shows `cluster.yml` without them. */
export const shownArgs = ({ nodes, privateRegistries, ...args }: RkeClusterArgs) => ({
    ...args,
    etcdBackup: shownBackup(args.etcdBackup),
    ssh: undefined,
    rkeState: undefined,
    nodes: withoutKey(nodes, "privateKey"),
    privateRegistries: withoutKey(privateRegistries, "password"),
});

/** Returns a list without one key of its objects. A list or an object that is an output stays whole. */
const withoutKey = (list: unknown, key: string): unknown =>
    Array.isArray(list) ? list.map((item: object) => (pulumi.Output.isInstance(item) ? item : { ...item, [key]: undefined })) : list;
