# shellcheck shell=sh
# Prints a line on a node whose member of etcd answers, which takes the quorum of etcd. Changes nothing.
if docker exec etcd etcdctl member list >/dev/null 2>&1; then echo "etcd answers"; fi
