# shellcheck shell=sh
# Lists the members of etcd, on a node with a member of its own: a line each with the URL for other members, and `healthy` or `not healthy`.
# Prints another line where etcd does not list its members. Changes nothing.
if ! members=$(docker exec etcd etcdctl member list 2>&1); then
    echo "etcd does not list its members: $(echo "$members" | tail -n 1)"
    exit 0
fi
# etcdctl ends with an error when one member is not healthy. A busy member may need more than the usual 5 s.
healthy=$(docker exec etcd etcdctl endpoint health --cluster --command-timeout=10s 2>&1 | sed -n 's/ is healthy: .*//p' | tr '\n' ' ')
echo "$members" | awk -F ', ' -v urls=" $healthy" '{ print "member " $4 " " (index(urls, " " $5 " ") ? "healthy" : "not healthy") }'
