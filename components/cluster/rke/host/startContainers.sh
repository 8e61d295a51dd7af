# shellcheck shell=sh
# Starts RKE's stopped containers, as the user that RKE logs in as. RKE would leave them stopped. Prints a line for each container.
for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
    [ "$(docker inspect --format '{{.State.Running}}' "$name" 2>/dev/null)" = false ] || continue
    if docker start "$name" >/dev/null; then echo "started $name, which was stopped"; else echo "$name cannot be started"; fi
done
