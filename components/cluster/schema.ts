import { z } from "zod";
import { nodeAddressesSchema } from "../remote/addresses";
import { secret } from "../secrecy";
import { whenKnown } from "../validation";
import { isLoopback, serverOf } from "./kubeconfig";
import { kubeconfigTextSchema } from "./kubeconfigSchema";

const someAddressesSchema = nodeAddressesSchema.min(1, "expected at least one address");

const shapeSchema = z.strictObject({
    kubeconfig: secret(kubeconfigTextSchema),
    ingressAddresses: someAddressesSchema,
    controlPlaneAddresses: someAddressesSchema.optional(),
    apiEndpoint: z.url({ protocol: /^https$/, error: "expected an https URL" }).optional(),
    kubernetesVersion: z
        .string()
        .regex(/^v?1\.\d+/, "expected a Kubernetes version such as v1.31.4")
        .optional(),
});

/** The same with the rule between the kubeconfig and the endpoint. */
export const existingClusterSchema = shapeSchema.superRefine(
    ({ kubeconfig, apiEndpoint }, context) => {
        if (apiEndpoint !== undefined || !isLoopback(serverOf(kubeconfig))) return;
        const message =
            "expected the address of an API server as this machine reaches it, found a loopback address, which is that of the node. " +
            "Replace it in the kubeconfig, or set apiEndpoint.";
        context.addIssue({ code: "custom", path: ["kubeconfig"], message });
    },
    whenKnown(z.looseObject({ kubeconfig: z.string() })),
);
