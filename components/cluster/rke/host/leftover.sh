# shellcheck shell=sh disable=SC2154
# Lists what `rke remove` left on a node. RKE reports success even when its cleaner failed.
# Variables: names (of RKE's containers, as a regular expression).
for container in $(docker ps --all --format '{{.Names}}' | grep -xE "k8s_.*|kube-.*|rke-.*|$names"); do
    echo "container $container"
done
tools=$(rke_tools)
for folder in /etc/kubernetes /etc/cni /opt/cni /var/lib/cni /var/lib/etcd /var/run/calico; do
    [ -e "$folder" ] || continue
    if [ -z "$tools" ]; then
        echo "folder $folder (it cannot be looked into: no image rke-tools on the node)"
    else
        file=$(look_into "$tools" "$folder" find /folder -type f 2>&1 | head -n 1)
        [ -z "$file" ] || echo "files in $folder"
    fi
done
