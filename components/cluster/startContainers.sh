# shellcheck shell=sh
# Starts RKE's containers that somebody stopped, as the user that RKE logs in as: a run of RKE leaves them stopped. Prints a line for each.
for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
    [ "$(docker inspect --format '{{.State.Running}}' "$name" 2>/dev/null)" = false ] || continue
    if docker start "$name" >/dev/null; then echo "started $name, which was stopped"; else echo "$name cannot be started"; fi
done
