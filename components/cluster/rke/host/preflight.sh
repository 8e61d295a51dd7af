# shellcheck shell=sh disable=SC2154
# Checks a node before RKE runs, as the user that RKE logs in as. Changes nothing, and prints one line for each problem.
# Variables:
#   docker_versions   accepted major.minor, separated by spaces; empty accepts every version
#   now               seconds since 1970 where Pulumi runs
#   ca_certificates   PEM of this cluster's CA, also from before each rotation

docker_version=$(docker version --format '{{.Server.Version}}' 2>/dev/null) || {
    reason=$(docker version 2>&1 >/dev/null | tail -n 1)
    echo "Docker cannot be used by $(id -un): expected \`docker version\` to work without sudo, found: ${reason:-no docker}." \
        "Install Docker and add the user to the group docker"
}
if [ -n "$docker_version" ] && [ -n "$docker_versions" ]; then
    minor=$(echo "$docker_version" | cut -d. -f1,2)
    case " $docker_versions " in
    *" $minor "*) ;;
    *) echo "Docker $docker_version is not accepted by RKE: expected one of $docker_versions, or cluster.ignoreDockerVersion" ;;
    esac
fi

offset=$(($(date +%s) - now))
if [ "${offset#-}" -gt 30 ]; then
    echo "the clock is $offset s off: expected less than 30 s. Certificates and etcd need right clocks: run an NTP client"
fi

for place in /var/lib:2048 /var/lib/docker:2048 /var/lib/etcd:256; do
    folder=${place%:*}
    needed=${place#*:}
    [ -d "$folder" ] || continue
    free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
    if [ "$free" -lt "$needed" ]; then
        echo "$free MiB are free in $folder: expected at least $needed MiB for images and etcd"
        break
    fi
done

# Another cluster's certificates make RKE fail after minutes with `tls: bad certificate`. Docker reads the file, because the user
# may lack the permission.
tools=$([ -z "$docker_version" ] || rke_tools)
if [ -n "$tools" ] && [ -d /etc/kubernetes/ssl ]; then
    found=$(look_into "$tools" /etc/kubernetes/ssl cat /folder/kube-ca.pem 2>/dev/null)
    code=$?
    found=$(echo "$found" | tr -d '[:space:]')
    case $(echo "$ca_certificates" | tr -d '[:space:]') in
    *"$found"*)
        # Docker ends with 125 or more when it starts no container. Without the file, cat ends with 1.
        [ "$code" -lt 125 ] ||
            echo "it does not show whose cluster it is in: expected Docker to start a container that reads" \
                "/etc/kubernetes/ssl/kube-ca.pem, found exit code $code of \`docker run\`. Look at Docker and its disk on the host"
        ;;
    *)
        echo "it belongs to another cluster: /etc/kubernetes/ssl/kube-ca.pem is not the CA of this one." \
            "If cluster.caRotations is lower than before, set it back." \
            "When it is this one, adopt it with cluster.rkeState, or bring a lost state of the stack back from a backup" \
            "(pulumi stack import): with another CA every node and agent is cut off." \
            "When the node serves another cluster, take it out of the configuration." \
            "Only when that cluster is known to be gone: rke remove, with its own cluster.yml"
        ;;
    esac
fi
