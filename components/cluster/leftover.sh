# shellcheck shell=sh
# Looks at a node after `rke remove`, which says success even when its cleaner failed. Prints what was left behind.
for container in $(docker ps --all --format '{{.Names}}' | grep -E '^(k8s_.*|etcd|etcd-rolling-snapshots|kube-.*|kubelet|kube-proxy|nginx-proxy|service-sidekick|rke-.*|cert-deployer|cluster-state-deployer|share-mnt)$'); do
    echo "container $container"
done
# Through Docker, because the user need not be able to read these folders.
tools=$(docker images --format '{{.Repository}}:{{.Tag}}' | grep -m 1 '/rke-tools:')
for folder in /etc/kubernetes /etc/cni /opt/cni /var/lib/cni /var/lib/etcd /var/run/calico; do
    [ -e "$folder" ] || continue
    if [ -z "$tools" ]; then
        echo "folder $folder (it cannot be looked into: no image rke-tools on the node)"
    elif [ -n "$(docker run --rm --network none -v "$folder:/folder:ro" --entrypoint find "$tools" /folder -type f 2>&1 | head -n 1)" ]; then
        echo "files in $folder"
    fi
done
