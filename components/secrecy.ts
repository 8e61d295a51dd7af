import * as pulumi from "@pulumi/pulumi";

/**
 * `value` as a secret only when something in `sources` is one. For what is made of several arguments of which a known one, an SSH
 * key for example, is a secret and does not stand in the value: a reader of a preview is to see all that nobody marked.
 */
export function secretAs<T>(sources: unknown, value: pulumi.Output<T>): pulumi.Output<T> {
    const marked = pulumi.isSecret(pulumi.output(sources));
    return pulumi.unsecret(value).apply(async known => ((await marked) ? pulumi.secret(known) : known)) as pulumi.Output<T>;
}
