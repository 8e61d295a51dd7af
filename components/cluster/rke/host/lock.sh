# shellcheck shell=sh disable=SC3043
# Holds the lock of a node until standard input ends: with the run that changes the cluster, or with its connection.
set -eu
lock=/tmp/pulumi-rancher-ha-rke.lock
umask 022
# Any user can lock the file of another user, because that only needs to read it.
[ -e "$lock" ] || : >"$lock"
exec 9<"$lock"

# Prints from where the run was started that holds the lock. Only the owner of the file can have written that.
holder() {
    local process=- address=
    read -r process address <"$lock" || true
    [ -e "/proc/$process" ] && echo "$address"
}

code=0
flock -w 2 9 || code=$?
case $code in
0) ;;
1)
    echo "lock: held from $(holder || echo an unknown address)"
    flock -w 90 9 || exit 75 ;;
*) exit "$code" ;;
esac
from=${SSH_CONNECTION:-an unknown address}
{ echo "$$ ${from%% [0-9]*}" >"$lock"; } 2>/dev/null || true
echo "lock: taken"
exec cat >/dev/null
