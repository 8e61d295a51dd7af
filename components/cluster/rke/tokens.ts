import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/** A snapshot of etcd that an update makes. */
export interface RkeSnapshotArgs {
    /**
     * Name of the snapshot, for example `before-rancher-2.11.3`. A new name saves a snapshot on every etcd node and in the bucket of
     * `etcdBackup.s3`, once. Letters, digits, `.`, `_`, `:` and `-` are allowed, at most 100 characters. A name that ends with `.zip` is
     * refused, because RKE adds the ending. So is a name that the bucket already has, because RKE would keep the older snapshot.
     */
    name: pulumi.Input<string>;
}

/** A snapshot of etcd that an update restores. */
export interface RkeRestoreArgs {
    /**
     * Name of the snapshot, without `.zip`. A new name restores the snapshot, once: all objects made after it are lost. Letters, digits, `.`,
     * `_`, `:` and `-` are allowed, at most 100 characters. A snapshot that neither an etcd node nor the bucket of
     * `etcdBackup.s3` has is refused before etcd stops. RKE takes that of the bucket first. A bucket without keys is not asked. While etcd
     * answers, a snapshot of the present objects is saved first, named `before-restore-` and the time. Refused in the update that creates or
     * adopts the cluster, or rotates its CA.
     */
    snapshot: pulumi.Input<string>;
}

const expected = "expected 1 to 100 letters, digits, ., _, : and -, with a letter or digit first";
const tokenSchema = z.string().regex(/^[A-Za-z0-9][\w.:-]{0,99}$/, expected);
const snapshotSchema = tokenSchema.refine(name => !name.endsWith(".zip"), "expected the name of a snapshot without .zip");

/** Schemas of the verbs of a cluster. A new value runs the verb once. */
export const tokenSchemas = {
    snapshot: z.strictObject({ name: snapshotSchema }).optional(),
    restore: z.strictObject({ snapshot: snapshotSchema }).optional(),
    rotateCertificates: tokenSchema.optional(),
};
