import { RkeClusterSettings } from "./schema";

/**
 * Returns the refusal of a verb in an update that makes a PKI: the first one, or that of a rotation of the CA. A restore needs the state that
 * such an update has not kept yet. RKE would rotate the CA before it saves the snapshot.
 */
export function untimelyVerb({ restore, snapshot }: RkeClusterSettings, rotatesCa: boolean): string | undefined {
    if (restore)
        return (
            "restore.snapshot: expected none in the update that creates or adopts the cluster, or rotates its CA, found " +
            `${restore.snapshot}. Remove restore, and run pulumi up`
        );
    if (rotatesCa && snapshot)
        return (
            `snapshot.name: expected none in the update that rotates the CA, found ${snapshot.name}: RKE would save it after the rotation. ` +
            "Save the snapshot first, in an update of its own with the caRotations of before. Then remove snapshot, and rotate the CA"
        );
    return undefined;
}
