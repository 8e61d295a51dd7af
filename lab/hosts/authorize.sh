#!/bin/sh
# authorize.sh USER HOME: lets the key on standard input log in as a user of a lab host, and prints the host's own key.
set -eu
user=$1 home=$2
umask 077
mkdir -p "$home/.ssh"
cat >"$home/.ssh/authorized_keys"
chown -R "$user:" "$home/.ssh"
cat /etc/ssh/ssh_host_ed25519_key.pub
