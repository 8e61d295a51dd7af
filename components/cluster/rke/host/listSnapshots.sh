# shellcheck shell=sh
# Lists the snapshots of etcd on a node, one file name a line.
folder=/opt/rke/etcd-snapshots
if [ ! -e "$folder" ]; then
    exit 0
elif [ -r "$folder" ]; then
    ls "$folder"
else
    look_into "$(rke_tools)" "$folder" ls /folder
fi
