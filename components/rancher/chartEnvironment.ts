/** Environment variables that the chart itself sets for Rancher. */
interface ChartVariables {
    names: string[];
    /** Reports whether the chart sets them with these values. */
    isSet: (values: Record<string, any>) => unknown;
    /** What to do in place of the same name in `extraEnv`. */
    instead: string;
}

const always = () => true;

/** Source: templates/deployment.yaml of the chart, Rancher 2.9 to 2.15. */
export const chartVariables: ChartVariables[] = [
    { names: ["CATTLE_NAMESPACE", "CATTLE_PEER_SERVICE"], isSet: always, instead: "Remove it" },
    { names: ["IMPERATIVE_API_DIRECT", "IMPERATIVE_API_APP_SELECTOR"], isSet: always, instead: "Remove it" },
    {
        names: ["CATTLE_BOOTSTRAP_PASSWORD"],
        isSet: values => values.bootstrapPassword,
        instead: "Use rancher.bootstrapPassword, or make that an empty string",
    },
    { names: ["CATTLE_AGENT_TLS_MODE"], isSet: values => values.agentTLSMode, instead: "Use rancher.agentTlsMode" },
    { names: ["HTTP_PROXY", "HTTPS_PROXY"], isSet: values => values.proxy, instead: "Use rancher.proxy" },
    { names: ["NO_PROXY"], isSet: values => values.proxy, instead: "Use rancher.noProxy" },
    {
        names: ["AUDIT_LOG_ENABLED", "AUDIT_LEVEL", "AUDIT_LOG_MAXAGE", "AUDIT_LOG_MAXBACKUP", "AUDIT_LOG_MAXSIZE"],
        isSet: ({ auditLog }) => auditLog?.enabled ?? auditLog?.level > 0,
        instead: "Use rancher.values.auditLog",
    },
    ...Object.entries({
        AGGREGATION_REGISTRATION_TIMEOUT: "aggregationRegistrationTimeout",
        CACHE_SYNC_TIMEOUT: "cacheSyncTimeout",
        CATTLE_FEATURES: "features",
        CATTLE_NO_DEFAULT_ADMIN: "noDefaultAdmin",
        CATTLE_SYSTEM_CATALOG: "useBundledSystemChart",
        CATTLE_SYSTEM_DEFAULT_REGISTRY: "systemDefaultRegistry",
    }).map(([name, key]) => ({ names: [name], isSet: (values: any) => values[key], instead: `Use rancher.values.${key}` })),
    {
        names: ["CATTLE_BASE_REGISTRY_PULL_SECRETS"],
        isSet: values => values.systemRegistryInheritsPullSecrets && values.imagePullSecrets?.length > 0,
        instead: "Use rancher.values.imagePullSecrets",
    },
    {
        names: ["CATTLE_RESTRICTED_DEFAULT_ADMIN"],
        isSet: values => values.restrictedAdmin,
        instead: "Use rancher.additionalValues.restrictedAdmin",
    },
    {
        names: ["RANCHER_NAMESPACES_OPTIONS"],
        isSet: values => values.rancherNamespaces?.enabled,
        instead: "Use rancher.values.rancherNamespaces",
    },
];

/**
 * Returns why a variable in `extraEnv` cannot have this name, or undefined. With a name twice, the API server answers 500 to the dry run of
 * the Deployment, so no probe would see its drift.
 */
export function takenName(name: string, values: Record<string, any>): string | undefined {
    const found = chartVariables.find(({ names, isSet }) => names.includes(name) && isSet(values));
    return found && `expected another name than ${name}, which the chart itself sets. ${found.instead}.`;
}
