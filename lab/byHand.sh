#!/bin/sh
# byHand.sh CHART HOSTNAME: installs Rancher by the manual's commands. The folder holds cacerts.pem.
set -eux
chart=$1 hostname=$2
kubectl create namespace cattle-system
kubectl -n cattle-system create secret generic tls-ca --from-file=cacerts.pem
helm install rancher "$chart" --namespace cattle-system \
    --set tls=external --set hostname="$hostname" --set privateCA=true
kubectl -n cattle-system rollout status deployment/rancher --timeout=10m
