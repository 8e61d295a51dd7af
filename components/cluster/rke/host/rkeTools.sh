# shellcheck shell=sh disable=SC3043
# Looks into folders of a node through Docker, because the user of SSH may lack the permission.

# Prints the ID of an image rke-tools, or nothing. By its name, Docker may refuse an image: one by digest has no tag.
rke_tools() {
    docker images --no-trunc --format '{{.ID}} {{.Repository}}:' | grep -m 1 '/rke-tools:$' | cut -d ' ' -f 1
}

# Runs a program of the image on a folder, which the program sees as /folder: IMAGE FOLDER PROGRAM ARGUMENT...
look_into() {
    local image="$1" folder="$2" program="$3"
    shift 3
    docker run --rm --network none -v "$folder:/folder:ro" --entrypoint "$program" "$image" "$@"
}
