# shellcheck shell=sh
# Lists what `rke remove` left on a node. RKE reports success even when its cleaner failed.
of_cluster='k8s_.*|etcd|kube-.*|kubelet|kube-proxy|nginx-proxy'
of_rke='rke-.*|etcd-rolling-snapshots|service-sidekick|cert-deployer|cluster-state-deployer|share-mnt'
for container in $(docker ps --all --format '{{.Names}}' | grep -xE "$of_cluster|$of_rke"); do
    echo "container $container"
done
# Docker reads these folders, because the user may lack the permission.
tools=$(docker images --format '{{.Repository}}:{{.Tag}}' | grep -m 1 '/rke-tools:')
for folder in /etc/kubernetes /etc/cni /opt/cni /var/lib/cni /var/lib/etcd /var/run/calico; do
    [ -e "$folder" ] || continue
    if [ -z "$tools" ]; then
        echo "folder $folder (it cannot be looked into: no image rke-tools on the node)"
    else
        file=$(docker run --rm --network none -v "$folder:/folder:ro" --entrypoint find "$tools" /folder -type f 2>&1 | head -n 1)
        [ -z "$file" ] || echo "files in $folder"
    fi
done
