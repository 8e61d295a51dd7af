/** Words by which the host program recognizes a file of this library. */
export const mark = "Managed by Pulumi (pulumi-rancher-ha)";

/** First line of a unit of systemd. */
export const managed = `# ${mark}\n`;
