# shellcheck shell=sh disable=SC2154,SC3043
# Installs the packages of the load balancer, and removes them again.

# Packages that this run installed, one line each.
installed_now=

# Runs apt-get for packages that are missing: MISSING VERB OPTION... PACKAGE...
apt() {
    local missing="$1" verb="$2" attempt=0 log code
    shift
    log=$stage/$verb.log
    # apt itself waits for the lock of dpkg, but not for the lock of the package lists.
    until {
        apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 -o DPkg::Options::=--force-confold "$@" \
            >"$log" 2>&1
        code=$?
        [ "$code" = 0 ]
    }; do
        attempt=$((attempt + 1))
        # A killed run of this program may have begun to install packages, and its dpkg may still run.
        if [ "$attempt" -lt 24 ] && [ -s "$state/packages" ] && grep -q "dpkg was interrupted" "$log"; then
            dpkg --configure -a >/dev/null 2>&1 || true
        elif [ "$attempt" -ge 24 ] || ! grep -q "Could not get lock" "$log"; then
            abort packages "packages could not be installed:$missing. apt-get $verb ended with $code. The end of what it said:
$(grep -h '^[WE]: ' "$stage"/*.log; tail -n 8 "$log")
Check its package sources and network"
        fi
        sleep 5
    done
}

# Masks NGINX, so that its package does not start its default site.
mask_nginx() { systemctl -q mask --runtime nginx 2>/dev/null; }
unmask_nginx() { systemctl -q unmask --runtime nginx 2>/dev/null || true; }

install_packages() {
    local package missing=
    # A killed run may have left the mask.
    unmask_nginx
    for package in nginx openssl logrotate ${virtual_ip:+keepalived}; do
        installed "$package" || missing="$missing $package"
    done
    if [ -z "$missing" ]; then return; fi
    say "installing$missing"
    apt "$missing" update
    # shellcheck disable=SC2086 # a list
    apt "$missing" install --simulate $missing
    installed_now=$(new_packages <"$stage/install.log")
    # The list is recorded before the installation, so that a killed run leaves it for `destroy`.
    echo "$installed_now" | append "$state/packages" || abort host-storage "$state cannot be written. Check free space there"
    case $missing in *nginx*) mask_nginx ;; esac
    # shellcheck disable=SC2086 # a list
    apt "$missing" install $missing
    unmask_nginx
    rm -f "$stage"/*.log
}

# Removes the packages that this run installed, on a host that served before.
withdraw_packages() {
    [ -n "$installed_now" ] || return 0
    # shellcheck disable=SC2086 # a list
    dpkg --purge $installed_now >/dev/null 2>&1
    { grep -vxF "$installed_now" "$state/packages" || true; } | write "$state/packages"
}

# Lists the new packages of apt's simulation. Packages that are only upgraded have a line `Inst NAME [OLD] (NEW …)`.
new_packages() { sed -n 's/^Inst \([^ ]*\) (.*/\1/p'; }

# Reports whether the load balancer installed a package: PACKAGE.
brought() { grep -qx "$1" "$state/packages" 2>/dev/null; }

remove_packages() {
    local service report package
    [ -s "$state/packages" ] || return 0
    say "removing packages"
    for service in nginx keepalived; do
        brought "$service" || continue
        systemctl -q disable --now "$service" 2>/dev/null || true
        systemctl -q reset-failed "$service" 2>/dev/null || true
    done
    # dpkg, unlike apt, refuses to remove packages that a foreign package needs. These packages stay.
    # shellcheck disable=SC2046 # a list
    report=$(dpkg --purge $(sort -u "$state/packages") 2>&1 >/dev/null) || true
    sort -u "$state/packages" | while read -r package; do
        installed "$package" || continue
        case $package in
        nginx* | keepalived)
            fail packages "the packages that came with the load balancer cannot be removed: \
$(echo "$report" | grep -v '^ ' | head -n 3)" ;;
        *) say "the package $package stays: $(echo "$report" | grep -m 1 "depends on $package" | sed 's/^ *//')" ;;
        esac
    done || exit 1
    ! brought nginx || rm -rf /etc/nginx /var/log/nginx /var/lib/nginx
    ! brought keepalived || rm -rf /etc/keepalived
    ! brought logrotate || rm -rf /var/lib/logrotate
}
