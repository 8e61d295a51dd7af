/** The public API of the library. */
export { ProvidedCertificate, ProvidedCertificateArgs, ProvidedCertificateSettingsArgs } from "./certificates/providedCertificate";
export { PrivateCa, PrivateCaArgs, PrivateCaSettingsArgs } from "./certificates/privateCa";
export { KeyAlgorithm } from "./certificates/schema";
export { Certificate, CertificateArgs, ServerCertificate } from "./certificates/serverCertificate";
export { Distribution } from "./cluster/compatibility";
export { ExistingCluster, ExistingClusterArgs } from "./cluster/existingCluster";
export { KubernetesCluster } from "./cluster/kubernetesCluster";
export { RkeClusterArgs, RkeClusterSettingsArgs, RkeEtcdBackupArgs, RkeNetworkArgs, RkeNodeArgs, RkeTaintArgs } from "./cluster/rke/args";
export { RkeCluster } from "./cluster/rke/rkeCluster";
export { NetworkPlugin } from "./cluster/rke/network";
export { NodeRole, TaintEffect } from "./cluster/rke/nodes";
export { RkePrivateRegistryArgs } from "./cluster/rke/registries";
export { AuditLogFormat, RkeAuditLogArgs, RkeKubeApiArgs, RkeKubeletArgs, RkeServiceArgs, RkeServicesArgs } from "./cluster/rke/services";
export { RkeNodeDrainArgs, RkeUpgradeStrategyArgs } from "./cluster/rke/upgradeStrategy";
export { RkeS3Args } from "./cluster/rke/s3";
export { S3PlaceArgs } from "./s3";
export { RkeRestoreArgs, RkeSnapshotArgs } from "./cluster/rke/tokens";
export { BastionArgs, HostArgs, SshArgs } from "./remote/args";
export { DriftMode } from "./remote/drift";
export {
    CertificatePathsArgs,
    ExtraDirectivesArgs,
    LoadBalancerHostArgs,
    LoadBalancerSettingsArgs,
    NginxLoadBalancerArgs,
    NginxTuningArgs,
    VirtualIpArgs,
} from "./loadBalancer/args";
export { NginxLoadBalancer } from "./loadBalancer/nginxLoadBalancer";
export { TlsVersion } from "./loadBalancer/schema";
export { AgentHostAliases, AgentHostAliasesArgs } from "./rancher/agentHostAliases";
export { ChartRepositoryOptsArgs, RancherReleaseArgs, RancherSettingsArgs } from "./rancher/args";
export { CaSecret, CaSecretArgs } from "./rancher/caSecret";
export { RancherBackup, RancherBackupArgs, RancherBackupSettingsArgs } from "./rancher/rancherBackup";
export { RancherBackupS3Args, RancherBackupVolumeArgs, RancherWithBackupArgs } from "./rancher/rancherBackup";
export { RancherChartValuesArgs } from "./rancher/chartValues";
export { AgentTlsMode } from "./rancher/helmValues";
export { RancherRelease } from "./rancher/rancherRelease";
export { LiveCheck, Telemetry } from "./rancher/schema";
export { Verification, VerificationArgs, VerificationSettingsArgs } from "./rancher/verification";
export { CertificateOnHostArgs, RancherHa, RancherHaArgs } from "./rancherHa";
