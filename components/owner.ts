import * as pulumi from "@pulumi/pulumi";

/**
 * Returns ORGANIZATION/PROJECT/STACK. The organization of a local backend is `organization`. Mocks of a user's own test have no
 * organization.
 */
export function stackName(): string {
    const organization = pulumi.runtime.getEngine() ? pulumi.getOrganization() : "organization";
    return [organization, pulumi.getProject(), pulumi.getStack()].join("/");
}
