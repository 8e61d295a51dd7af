# shellcheck shell=sh
# `rke remove` ends the kubelet, but leaves what it ran: the ingress controller on ports 80 and 443, and Rancher itself.
pods=$(docker ps --all --quiet --filter label=io.kubernetes.pod.uid)
# shellcheck disable=SC2086 # a list
[ -z "$pods" ] || docker rm --force --volumes $pods >/dev/null
