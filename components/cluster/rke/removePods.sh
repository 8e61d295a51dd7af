# shellcheck shell=sh
# Removes the containers of pods. `rke remove` leaves them running: Rancher, and the ingress controller on ports 80 and 443.
pods=$(docker ps --all --quiet --filter label=io.kubernetes.pod.uid)
# shellcheck disable=SC2086 # a list
[ -z "$pods" ] || docker rm --force --volumes $pods >/dev/null
