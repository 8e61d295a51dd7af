#!/bin/sh
# addProgram.sh IMAGE FILE NAME...: adds the program from standard input to an image in Docker's store of a node, as FILE. The new image
# gets the names.
set -eu
image=$1 file=$2 name=$3
shift 2
program=$(mktemp)
trap 'rm "$program"' EXIT
cat >"$program"
chmod 755 "$program"
container=$(docker create "$image")
docker cp "$program" "$container:$file"
docker commit "$container" "$name"
docker rm "$container"
for other in "$@"; do docker tag "$name" "$other"; done
