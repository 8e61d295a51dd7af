// Frees a release that a run of Helm left pending when it was ended in the middle: Helm refuses every change of it. The objects stay.
async function main({ access, release }) {
    // The API of a cluster that was just built is slow to answer, and now and then does not.
    const api = kubernetesApi({ ...access, patienceSeconds: 15 });
    for (let attempt = 1; ; attempt++) {
        try {
            return await free(api, release);
        } catch (error) {
            if (attempt < 3) {
                await new Promise(resolve => setTimeout(resolve, 2000));
                continue;
            }
            process.stderr.write(`cannot look at Helm's records of ${release.name} in ${release.namespace}: ${error.message}\n`);
            process.exitCode = 1;
            return;
        }
    }
}

async function free(api, { name, namespace }) {
    const secrets = `/api/v1/namespaces/${namespace}/secrets`;
    const { items } = await api(`${secrets}?labelSelector=${encodeURIComponent(`owner=helm,name=${name}`)}`);
    for (const { metadata } of items.filter(({ metadata: { labels } }) => labels.status.startsWith("pending-"))) {
        process.stderr.write(`revision ${metadata.labels.version} of ${name} was left ${metadata.labels.status}: removing Helm's record\n`);
        await api(`${secrets}/${metadata.name}`, { method: "DELETE" });
    }
}
