#!/bin/sh
# buildImage.sh KIND SOURCES OUTPUT: the root file system of a lab host (KIND lb or node) as a tar file.
set -eu
kind=$1 sources=$2 output=$3
packages=systemd,systemd-sysv,dbus,openssh-server,iproute2,iptables,ca-certificates,curl,sudo,procps,openssl,iputils-ping
[ "$kind" = lb ] || packages=$packages,docker.io,busybox-static,zip
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --customize-hook="copy-in $sources/common /opt" \
    --customize-hook="copy-in $sources/node /opt" \
    --customize-hook="chroot \"\$1\" sh /opt/common/setup.sh $kind" \
    bookworm "$output"
