# shellcheck shell=sh disable=SC2154
# Lists what `rke remove` left on a node. RKE reports success even when its cleaner failed.
# Variables: names (of RKE's containers, as a regular expression).
for container in $(docker ps --all --format '{{.Names}}' | grep -xE "k8s_.*|kube-.*|rke-.*|$names"); do
    echo "container $container"
done
# Docker reads these folders, because the user may lack the permission.
tools=$(docker images --no-trunc --format '{{.ID}} {{.Repository}}:' | grep -m 1 '/rke-tools:$' | cut -d ' ' -f 1)
for folder in /etc/kubernetes /etc/cni /opt/cni /var/lib/cni /var/lib/etcd /var/run/calico; do
    [ -e "$folder" ] || continue
    if [ -z "$tools" ]; then
        echo "folder $folder (it cannot be looked into: no image rke-tools on the node)"
    else
        file=$(docker run --rm --network none -v "$folder:/folder:ro" --entrypoint find "$tools" /folder -type f 2>&1 | head -n 1)
        [ -z "$file" ] || echo "files in $folder"
    fi
done
