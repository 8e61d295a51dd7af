# shellcheck shell=sh disable=SC2154
# Removes the containers that RKE leaves when it cleans a node. Those of pods run on: Rancher, and the ingress controller on ports 80 and
# 443. A running kubelet belongs to a cluster, perhaps to another one by now, and would start its pods again.
# Variables: ended (names of RKE's containers that did one step, as a regular expression).
if [ -n "$(docker ps --quiet --filter 'name=^/?kubelet$')" ]; then
    echo "the kubelet runs, so its pods stay"
    exit 0
fi
pods=$(docker ps --all --quiet --filter label=io.kubernetes.pod.uid)
steps=$(docker ps --all --format '{{.Names}}' | grep -xE "$ended")
# shellcheck disable=SC2086 # lists
[ -z "$pods$steps" ] || docker rm --force --volumes $pods $steps >/dev/null
