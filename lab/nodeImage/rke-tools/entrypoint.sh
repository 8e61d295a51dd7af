#!/bin/sh
# Stands in for /opt/rke-tools/entrypoint.sh. RKE's containers mount that file with VolumesFrom service-sidekick.
case "$1" in
kubelet)
    # A kubelet logs in to registries with this file.
    [ -z "${RKE_KUBELET_DOCKER_CONFIG:-}" ] || echo "$RKE_KUBELET_DOCKER_CONFIG" | base64 -d >"$RKE_KUBELET_DOCKER_FILE"
    exec /opt/rke-tools/kubelet-stand-in "$@" ;;
kube-proxy) mkdir -p /tmp/www && echo ok >/tmp/www/healthz && exec httpd -f -p 127.0.0.1:10256 -h /tmp/www ;;
*) exec "$@" ;;
esac
