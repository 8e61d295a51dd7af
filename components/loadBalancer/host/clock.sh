# shellcheck shell=sh disable=SC3043
# Measures time. The host's program and the script that restarts keepalived hold this file.

# Prints the seconds since the host started. The clock may jump during a run.
now() { cut -d. -f1 /proc/uptime; }

# Sets the time until which is_in_time succeeds: SECONDS.
allow() {
    local seconds="$1"
    deadline=$(($(now) + seconds))
}
is_in_time() { [ "$(now)" -lt "$deadline" ]; }
