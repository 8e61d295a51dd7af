#!/bin/sh
# Stands in for /opt/rke-tools/entrypoint.sh. RKE's containers mount that file with VolumesFrom service-sidekick.
case "$1" in
kubelet) exec /opt/rke-tools/kubelet-stand-in "$@" ;;
kube-proxy) mkdir -p /tmp/www && echo ok >/tmp/www/healthz && exec httpd -f -p 127.0.0.1:10256 -h /tmp/www ;;
*) exec "$@" ;;
esac
