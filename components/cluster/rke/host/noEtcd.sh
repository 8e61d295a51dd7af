# shellcheck shell=sh
# Prints a line on a node that has neither etcd's container nor etcd's data. Changes nothing.
containers=$(docker ps --all --quiet --filter 'name=^/?etcd$') || exit 0
[ -z "$containers" ] || exit 0
folder=/var/lib/etcd
files=
# A message of an error counts as a file, so that a folder that cannot be read is not taken for empty.
if [ -r "$folder" ] && [ -x "$folder" ]; then
    files=$(find "$folder" -name lost+found -prune -o -type f -print 2>&1 | head -n 1)
elif [ -e "$folder" ]; then
    files=$(look_into "$(rke_tools)" "$folder" find /folder -type f 2>&1 | head -n 1)
fi
[ -n "$files" ] || echo "neither the container nor the data of etcd"
