// Frees a release that a run of Helm left pending when it was ended in the middle: Helm refuses every change of it. The objects stay.
async function main({ access, release: { name, namespace } }) {
    const api = kubernetesApi(access);
    const secrets = `/api/v1/namespaces/${namespace}/secrets`;
    try {
        const { items } = await api(`${secrets}?labelSelector=${encodeURIComponent(`owner=helm,name=${name}`)}`);
        for (const { metadata } of items.filter(({ metadata: { labels } }) => labels.status.startsWith("pending-"))) {
            process.stderr.write(
                `revision ${metadata.labels.version} of ${name} was left ${metadata.labels.status}: removing Helm's record\n`,
            );
            await api(`${secrets}/${metadata.name}`, { method: "DELETE" });
        }
    } catch (error) {
        process.stderr.write(`cannot look at Helm's records of ${name} in ${namespace}: ${error.message}\n`);
        process.exitCode = 1;
    }
}
