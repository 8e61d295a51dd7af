# shellcheck shell=sh disable=SC2154
# Looks at a node after `rke remove`, which says success even when its cleaner failed. Prints what was left behind.
for container in $(docker ps --all --format '{{.Names}}' | grep -E '^(etcd|etcd-rolling-snapshots|kube-.*|kubelet|kube-proxy|nginx-proxy|service-sidekick|rke-.*|cert-deployer|cluster-state-deployer|share-mnt)$'); do
    echo "container $container"
done
for path in /etc/kubernetes /etc/cni /opt/cni /var/lib/cni /var/lib/etcd /var/run/calico; do
    if [ -e "$path" ] && [ -n "$(ls -A "$path" 2>&1)" ]; then echo "folder $path"; fi
done
