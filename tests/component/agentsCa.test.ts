import * as pulumi from "@pulumi/pulumi";
import { heldForAgents } from "../../components/rancher/agentsCa";
import { said } from "../probes";
import { root, server } from "./stackMocks";

const kubeconfig = `apiVersion: v1
current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters: [{ name: a, cluster: { server: "https://192.0.2.31:6443" } }]
users: [{ name: a, user: { token: t } }]
`;

test("no file of a certificate is given before the cluster has answered", async () => {
    let answer = (_text: string) => {};
    const stdout = new Promise<string>(resolve => (answer = resolve));
    await pulumi.runtime.setMocks({ newResource: () => ({ id: "id", state: {} }), call: async () => ({ stdout: await stdout }) });
    const files = {
        certificateChain: pulumi.output(server.certificate),
        privateKey: pulumi.secret(server.privateKey),
        caCertificate: pulumi.output(root.certificate),
    };
    const component = new pulumi.ComponentResource("test:index:Rancher", "rancher");
    const held = heldForAgents(files, { kubeconfig: pulumi.output(kubeconfig), mayReplace: false, what: "Rancher", component });
    const given: string[] = [];
    const outputs = [held.certificateChain, held.privateKey, held.caCertificate];
    const promises = outputs.map(file => (file as any).promise().then((text: string) => given.push(text)) as Promise<unknown>);
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(given).toEqual([]);
    answer(said("in sync"));
    await Promise.all(promises);
    expect(given.sort()).toEqual([server.certificate, server.privateKey, root.certificate].sort());
    await expect(pulumi.isSecret(held.privateKey)).resolves.toBe(true);
    await expect(pulumi.isSecret(held.certificateChain)).resolves.toBe(false);
});
