# shellcheck shell=sh
# Removes the containers of pods. RKE leaves them running when it cleans a node: Rancher, and the ingress controller on ports 80 and 443.
# A running kubelet belongs to a cluster, perhaps to another one by now, and would start its pods again.
if [ -n "$(docker ps --quiet --filter 'name=^/?kubelet$')" ]; then
    echo "the kubelet runs, so its pods stay"
    exit 0
fi
pods=$(docker ps --all --quiet --filter label=io.kubernetes.pod.uid)
# shellcheck disable=SC2086 # a list
[ -z "$pods" ] || docker rm --force --volumes $pods >/dev/null
