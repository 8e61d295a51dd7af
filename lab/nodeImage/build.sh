#!/bin/sh
# build.sh ETCD KWOK_CONFIG OUTPUT PROGRAM...: builds the root file system of the node image as a tar file.
# ETCD holds the unpacked Debian packages of etcd; the programs are kubernetes, kwok, node-workloads.
set -eu
etcd=$1 kwok_config=$2 output=$3
shift 3
here=$(dirname "$0")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/usr/bin" "$root/usr/local/bin" "$root/opt/rke-tools" "$root/etc" "$root/tmp" "$root/root" \
    "$root/lib/x86_64-linux-gnu" "$root/lib64" "$root/var/lib" "$root/run"
chmod 1777 "$root/tmp"
ln -s ../run "$root/var/run"

cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
# RKE's scripts need bash, and RKE's cleaner needs GNU find for -delete.
rm -f "$root/bin/nc" "$root/bin/sh" "$root/bin/ash" "$root/bin/bash" "$root/bin/find"
cp /bin/bash /usr/bin/find "$root/bin/"
ln -s bash "$root/bin/sh"
cp /usr/bin/zip "$root/usr/bin/"
cp -r "$here/bin/." "$root/usr/bin/"
cp -r "$here/rke-tools/." "$root/opt/rke-tools/"
cp "$kwok_config" "$root/opt/rke-tools/kwok.yaml"
chmod +x "$root"/usr/bin/* "$root"/opt/rke-tools/*

cp -L "$@" "$etcd/usr/bin/etcd" "$etcd/usr/bin/etcdctl" "$root/usr/local/bin/"
for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do ln -s kubernetes "$root/usr/local/bin/$name"; done
for library in $(ldd /bin/bash /usr/bin/find /usr/bin/zip "$etcd/usr/bin/etcd" "$etcd/usr/bin/etcdctl" | grep -o '/lib[^ ]*' | sort -u); do
    cp -L "$library" "$root/lib/x86_64-linux-gnu/"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"

echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
tar -C "$root" --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 -cf "$output" .
