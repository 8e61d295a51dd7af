import * as pulumi from "@pulumi/pulumi";

/**
 * Returns `value` as a secret only when something in `sources` is a secret. A value that is made of several arguments would otherwise be
 * secret because of one, an SSH key for example, that it does not contain. A preview should show every value that nobody marked.
 */
export function secretAs<T>(sources: unknown, value: pulumi.Output<T>): pulumi.Output<T> {
    const marked = pulumi.isSecret(pulumi.output(sources));
    return pulumi.unsecret(value).apply(async known => ((await marked) ? pulumi.secret(known) : known)) as pulumi.Output<T>;
}
