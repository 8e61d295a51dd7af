#!/bin/sh
# prepareHost.sh PACKAGE...: installs packages on a host of the benchmark, and starts none of their services.
set -eu
export DEBIAN_FRONTEND=noninteractive
systemctl -q mask --runtime nginx haproxy
{ apt-get -qq update && apt-get -qq install --no-install-recommends "$@"; } >/run/apt.log 2>&1 || {
    tail /run/apt.log
    exit 1
}
systemctl -q unmask --runtime nginx
mkdir -p /bench
