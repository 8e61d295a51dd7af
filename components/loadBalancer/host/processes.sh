# shellcheck shell=sh disable=SC3043
# Tells processes of nginx.service from others. The host's program and the script that starts NGINX hold this file.

# Reports whether a process belongs to nginx.service: PID.
is_of_nginx() {
    local process="$1"
    grep -qs '/nginx\.service$' "/proc/$process/cgroup"
}
