#!/bin/sh
# buildImage.sh KIND SOURCES OUTPUT: builds the root file system of a lab host (KIND lb, lb-newer or node) as a tar file.
set -eu
kind=$1 sources=$2 output=$3 suite=bookworm
packages=systemd,systemd-sysv,dbus,openssh-server,iproute2,iptables,ca-certificates,curl,sudo,procps,openssl,iputils-ping
case $kind in
node) packages=$packages,docker.io,busybox-static,zip ;;
lb-newer) suite=trixie ;;
esac
mmdebstrap --quiet --variant=minbase --include="$packages" --skip=cleanup/apt \
    --customize-hook="copy-in $sources/common /opt" \
    --customize-hook="copy-in $sources/node /opt" \
    --customize-hook="copy-in $sources/newer /opt" \
    --customize-hook="chroot \"\$1\" sh /opt/common/setup.sh $kind" \
    "$suite" "$output"
