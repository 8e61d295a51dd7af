# shellcheck shell=sh disable=SC2154
# Removes members of etcd, on a node whose own member works. A member that is not in the list was removed before. Prints a line for a
# failure.
# Variables: peers (URLs of the members for other members, separated by spaces).
for peer in $peers; do
    tries=0
    # etcd may have been started a moment ago.
    until members=$(docker exec etcd etcdctl member list 2>&1); do
        tries=$((tries + 1))
        if [ "$tries" -ge 6 ]; then
            echo "etcd does not list its members: $(echo "$members" | tail -n 1)"
            exit 0
        fi
        sleep 5
    done
    id=$(echo "$members" | awk -F ', ' -v peer="$peer" '$4 == peer { print $1 }')
    [ -n "$id" ] || continue
    if ! said=$(docker exec etcd etcdctl member remove "$id" 2>&1); then
        echo "etcd does not remove the member $peer: $(echo "$said" | tail -n 1)"
        exit 0
    fi
done
