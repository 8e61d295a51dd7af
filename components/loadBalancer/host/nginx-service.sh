# shellcheck shell=sh disable=SC2154,SC3043
# Starts and stops NGINX for systemd. Packages and needrestart restart NGINX at each security update. This script makes
# a restart an upgrade on the fly: the new process inherits the listeners, and the old one answers its open requests.
# $down_file is empty on a single host.
set -u
pid_file=/run/nginx.pid
# Holds the ID of the new process during a restart. systemd would stop the process that $pid_file names.
heir_file=/run/rancher-ha-nginx.pid

start() {
    local heir
    if heir=$(living_heir); then
        echo "$heir" >"$pid_file"
        rm -f "$heir_file"
    else
        /usr/sbin/nginx || exit
    fi
    report 0
}

stop() {
    case $(systemctl list-jobs --no-legend nginx.service) in
    *" restart "*) ! upgrade || return 0 ;;
    esac
    report 1
    # Clients of a pair reach the other host before NGINX ends.
    [ -z "$down_file" ] || sleep 0.5
    end TERM
}

# Ends what a failed NGINX left, because its workers hold the ports. After an upgrade, systemd also runs this verb.
ended() {
    [ "$SERVICE_RESULT" != success ] || ! living_heir >/dev/null || return 0
    rm -f "$heir_file"
    report 1
    end KILL
}

# Tells keepalived whether NGINX is down: 0 or 1. NGINX must start even when /run is full.
report() {
    local is_down="$1"
    [ -z "$down_file" ] || echo "$is_down" >"$down_file" || true
}

# Starts a new process beside the old one. Waits 5 s for the new one, and 5 s until the old one has answered its
# requests. systemd then ends the old one, with its WebSockets.
upgrade() {
    local old
    old=$(cat "$pid_file") && end_predecessor "$old" && kill -USR2 "$old" && within_5_s has_heir "$old" &&
        mv "$pid_file" "$heir_file" && kill -QUIT "$old" || return 1
    within_5_s has_ended "$old" || true
}

# Ends the process that an upgrade by the package left, with its WebSockets: HEIR. NGINX ignores USR2 until then.
end_predecessor() {
    local heir="$1" predecessor
    predecessor=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$heir/status")
    [ "$(cat "/proc/$predecessor/comm")" = nginx ] || return 0
    within_5_s has_ended "$predecessor" || { kill -TERM "$predecessor" && within_5_s has_ended "$predecessor"; }
}

within_5_s() {
    local attempt=0
    until "$@"; do
        attempt=$((attempt + 1))
        [ "$attempt" -lt 50 ] || return 1
        sleep 0.1
    done
}

# Reports whether a new process has workers: OLD.
has_heir() {
    local old="$1" heir
    heir=$(cat "$pid_file" 2>/dev/null) && [ "$heir" != "$old" ] && [ -n "$(cat "/proc/$heir/task/$heir/children")" ]
}

# Reports whether a process has ended: PID.
has_ended() {
    local process="$1"
    ! kill -0 "$process" 2>/dev/null
}

# Prints the process that a restart left to be the main one, or fails.
living_heir() {
    local heir
    heir=$(cat "$heir_file" 2>/dev/null) && is_of_nginx "$heir" && echo "$heir"
}

# Ends all processes of NGINX: SIGNAL. After an upgrade on the fly, systemd knows the old main process only.
end() {
    local signal="$1" process
    for process in $(pgrep -x nginx); do ! is_of_nginx "$process" || kill "-$signal" "$process" 2>/dev/null; done
}

"$1"
