#!/bin/sh
# addS3Object.sh IMAGE: adds the program s3-object from standard input to an image in Docker's store of a node.
set -eu
image=$1
file=/tmp/s3-object
cat >"$file"
chmod 755 "$file"
container=$(docker create "$image")
docker cp "$file" "$container:/usr/bin/s3-object"
docker commit "$container" "$image"
docker rm "$container"
rm "$file"
