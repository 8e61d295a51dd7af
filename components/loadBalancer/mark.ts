/** Words by which the host program recognizes a file of this library. */
export const mark = "Managed by Pulumi (pulumi-rancher-ha)";
