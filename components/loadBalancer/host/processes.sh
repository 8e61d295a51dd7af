# shellcheck shell=sh
# Tells processes of nginx.service from others. The host's program and the script that starts NGINX hold this file.

# Reports whether a process belongs to nginx.service: PID.
is_of_nginx() { grep -qs '/nginx\.service$' "/proc/$1/cgroup"; }
