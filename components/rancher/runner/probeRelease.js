// Asks the Kubernetes API what a server-side apply of the release's manifest would change: a dry run, nothing is written.
const { gunzipSync } = require("zlib");

async function main({ access, release }) {
    try {
        process.stdout.write(probeText(await look(kubernetesApi(access), release)));
    } catch (error) {
        process.stdout.write(probeText({ unreachable: error.message }));
    }
}

async function look(api, { name, namespace }) {
    const selector = encodeURIComponent(`owner=helm,name=${name}`);
    const { items } = await api(`/api/v1/namespaces/${namespace}/secrets?labelSelector=${selector}`);
    const status = secret => secret.metadata.labels.status;
    const pending = items.find(secret => status(secret).startsWith("pending-"));
    if (pending) {
        const { name: record, labels } = pending.metadata;
        return {
            finding:
                `revision ${labels.version} of the release is ${labels.status}: a run of Helm was ended in the middle, and Helm refuses ` +
                `every change until \`kubectl --namespace ${namespace} delete secret ${record}\``,
        };
    }
    const deployed = items.filter(secret => status(secret) === "deployed");
    if (deployed.length === 0)
        return {
            absent: `Helm has no deployed release ${name} in ${namespace}; one that was uninstalled comes back with pulumi up --refresh`,
        };
    const version = secret => Number(secret.metadata.labels.version);
    const newest = deployed.reduce((one, other) => (version(one) > version(other) ? one : other));
    // Helm encodes what it hands to Kubernetes, which encodes it once more.
    const packed = Buffer.from(Buffer.from(newest.data.release, "base64").toString("utf8"), "base64");
    const { manifest } = JSON.parse(gunzipSync(packed).toString("utf8"));
    const paths = resourcePaths(api, namespace);
    const objects = manifest.split(/^---.*$/m).filter(text => /^kind:/m.test(text));
    const found = await Promise.all(objects.map(async text => changes(api, await paths(text), text)));
    return { finding: found.flat().sort() };
}

/** A function that tells where an object of a manifest is in the API; each group is asked once for its resources. */
function resourcePaths(api, namespace) {
    const groups = new Map();
    return async text => {
        const [apiVersion, kind] = ["apiVersion", "kind"].map(field => unquoted(new RegExp(`^${field}:(.*)$`, "m").exec(text)[1]));
        const metadata = /^metadata:\n((?: +.*\n|\n)*)/m.exec(text)[1];
        const indentation = /^ +/.exec(metadata)[0];
        const field = key => unquoted(new RegExp(`^${indentation}${key}:(.*)$`, "m").exec(metadata)?.[1] ?? "");
        const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
        if (!groups.has(group)) groups.set(group, api(group));
        const resource = (await groups.get(group)).resources.find(each => each.kind === kind && !each.name.includes("/"));
        const within = resource.namespaced ? `/namespaces/${field("namespace") || namespace}` : "";
        return { what: `${kind} ${field("name")}`, path: `${group}${within}/${resource.name}/${field("name")}` };
    };
}

const unquoted = text => text.trim().replace(/^(["'])(.*)\1$/, "$2");

async function changes(api, { what, path }, text) {
    const live = await api(path).catch(error => {
        if (error.status !== 404) throw error;
    });
    if (!live) return [`${what}: missing`];
    const applied = await api(`${path}?dryRun=All&force=true&fieldManager=pulumi-rancher-ha-probe`, {
        method: "PATCH",
        type: "application/apply-patch+yaml",
        body: text,
    });
    for (const object of [live, applied]) {
        delete object.status;
        for (const field of ["managedFields", "resourceVersion", "generation"]) delete object.metadata[field];
    }
    return differences(live, applied).map(line => `${what}: ${line}`);
}

/** One line for each place that differs. Texts are left out: they may hold secrets. */
function differences(live, applied, place = "") {
    if (JSON.stringify(live) === JSON.stringify(applied)) return [];
    const both = [live, applied];
    if (both.some(value => typeof value !== "object" || value === null)) {
        if (both.some(value => typeof value === "string")) return [`${place} was changed`];
        const shown = value => (value === undefined ? "missing" : typeof value === "object" ? "set" : value);
        return [`${place} is ${shown(live)}, expected ${shown(applied)}`];
    }
    const isList = Array.isArray(applied);
    return [...new Set(both.flatMap(Object.keys))].flatMap(key =>
        differences(live[key], applied[key], isList ? `${place}[${applied[key]?.name ?? key}]` : place ? `${place}.${key}` : key),
    );
}
