/** Markers that Pulumi puts into values on the wire. */
export const signature = "4dabf18193072939515e22adb298388d";
export const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
export const outputSignature = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Returns a secret in the form that older SDKs send. */
export const wireSecret = (value: unknown) => ({ [signature]: secretSignature, value });

/** Returns an output in the form that today's SDKs and the engine send. An output without a value is unknown. */
export const wireOutput = (value: unknown, { secret = false, dependencies = [] as string[] } = {}) => ({
    [signature]: outputSignature,
    ...(value === unknownValue ? {} : { value }),
    secret,
    dependencies,
});
