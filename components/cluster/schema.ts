import { z } from "zod";
import { apiEndpointSchema, kubernetesVersionSchema } from "../kubernetesApi";
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
    apiEndpoint: apiEndpointSchema.optional(),
    kubernetesVersion: kubernetesVersionSchema.optional(),
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
