import { RancherHa } from "./components";
import { readConfig } from "./config";

const rancher = new RancherHa("rancher", readConfig());

export const url = rancher.url;
export const kubeconfig = rancher.kubeconfig;
export const caCertificate = rancher.caCertificate;
export const bootstrapPassword = rancher.bootstrapPassword;
export const loadBalancerAddresses = rancher.loadBalancerAddresses;
export const rancherVersion = rancher.rancherVersion;
export const kubernetesVersion = rancher.kubernetesVersion;
export const nextSteps = rancher.nextSteps;
