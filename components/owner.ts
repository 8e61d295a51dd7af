import * as pulumi from "@pulumi/pulumi";

/** Returns ORGANIZATION/PROJECT/STACK. The organization of a local backend is `organization`; mocks of a user's own test have none. */
export function stackName(): string {
    const organization = pulumi.runtime.getEngine() ? pulumi.getOrganization() : "organization";
    return [organization, pulumi.getProject(), pulumi.getStack()].join("/");
}

/** Names on a namespace the release whose stack made it: `ORGANIZATION/PROJECT/STACK/RELEASE`. */
export const ownerAnnotation = "pulumi-rancher-ha/owner";
