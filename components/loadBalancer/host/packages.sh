# shellcheck shell=sh disable=SC2154
# The packages that the load balancer brings, and takes with it again.

apt() {
    attempt=0
    log=$stage/$1.log
    # apt waits for the lock of dpkg by itself, but not for the one of its lists.
    until {
        apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 -o DPkg::Options::=--force-confold "$@" >"$log" 2>&1
        code=$?
        [ "$code" = 0 ]
    }; do
        attempt=$((attempt + 1))
        # What a run of ours that was killed began, and its dpkg may still be at.
        if [ "$attempt" -lt 24 ] && [ -s "$state/packages" ] && grep -q "dpkg was interrupted" "$log"; then
            dpkg --configure -a >/dev/null 2>&1 || true
        elif [ "$attempt" -ge 24 ] || ! grep -q "Could not get lock" "$log"; then
            fail "packages could not be installed:$missing. apt-get $1 ended with $code. The end of what it said:
$(grep -h '^[WE]: ' "$stage"/*.log; tail -n 8 "$log")
The host was left as it was. Check its package sources and network"
        fi
        sleep 5
    done
}

# Masked, so that its package does not start its default site.
mask_nginx() { systemctl -q mask --runtime nginx 2>/dev/null; }
unmask_nginx() { systemctl -q unmask --runtime nginx 2>/dev/null || true; }

install_packages() {
    # What a run that was killed in the middle of this left behind.
    unmask_nginx
    missing=
    for package in nginx openssl logrotate ${virtual_ip:+keepalived}; do
        installed "$package" || missing="$missing $package"
    done
    if [ -z "$missing" ]; then return; fi
    say "installing$missing"
    apt update
    # Noted before, so that a run that is killed in between leaves the list for `destroy`.
    # shellcheck disable=SC2086 # a list
    apt install --simulate $missing
    added=$(new_packages <"$stage/install.log")
    echo "$added" >>"$state/packages"
    sync "$state/packages"
    case $missing in *nginx*) mask_nginx ;; esac
    # shellcheck disable=SC2086 # a list
    apt install $missing
    unmask_nginx
    rm -f "$stage"/*.log
}

# For a host that serves: what this run alone kept and brought goes again.
withdraw_additions() {
    for product in $kept_now; do rm -rf "$state/original/$product"; done
    [ -n "$added" ] || return 0
    # shellcheck disable=SC2086 # a list
    dpkg --purge $added >/dev/null 2>&1
    grep -vxF "$added" "$state/packages" >"$state/packages.new"
    mv -f "$state/packages.new" "$state/packages"
}

# Those that apt's simulation brings: where it says `Inst NAME [OLD] (NEW …)`, they are there already and only renewed.
new_packages() { sed -n 's/^Inst \([^ ]*\) (.*/\1/p'; }

# Whether a package came with the load balancer.
brought() { grep -qx "$1" "$state/packages" 2>/dev/null; }

remove_packages() {
    [ -s "$state/packages" ] || return 0
    say "removing packages"
    for service in nginx keepalived; do
        brought "$service" || continue
        systemctl -q disable --now "$service" 2>/dev/null || true
        systemctl -q reset-failed "$service" 2>/dev/null || true
    done
    # dpkg, unlike apt, refuses to take packages along that somebody else came to need: these stay.
    # shellcheck disable=SC2046 # a list
    dpkg --purge $(sort -u "$state/packages") >/dev/null 2>/run/rancher-ha-dpkg.log || true
    sort -u "$state/packages" | while read -r package; do
        installed "$package" || continue
        case $package in
        nginx* | keepalived) fail "the packages that came with the load balancer cannot be removed: $(grep -v '^ ' /run/rancher-ha-dpkg.log | head -n 3)" ;;
        *) say "the package $package stays: $(grep -m 1 "depends on $package" /run/rancher-ha-dpkg.log | sed 's/^ *//')" ;;
        esac
    done || exit 1
    rm -f /run/rancher-ha-dpkg.log
    ! brought nginx || rm -rf /etc/nginx /var/log/nginx /var/lib/nginx
    ! brought keepalived || rm -rf /etc/keepalived
    ! brought logrotate || rm -rf /var/lib/logrotate
}
