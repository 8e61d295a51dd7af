# shellcheck shell=sh disable=SC2154
# What was on the host before: refused, or kept and put back.

products() { echo "nginx${virtual_ip:+ keepalived}"; }

# Refuses NGINX or keepalived that somebody configured, unless they are to be taken over.
check_foreign() {
    for product in $(products); do
        if [ -d "$state/original/$product" ]; then continue; fi
        foreign=$("foreign_$product")
        if [ -z "$foreign" ]; then continue; fi
        [ -n "$take_over" ] || fail "$product on this host is configured for something else:
$foreign
Choose another host, remove that configuration, or set takeOver: it is kept then, and put back by destroy. Nothing was changed"
        say "taking over the configuration of $product: it is kept in $state/original/$product"
    done
}

foreign_nginx() {
    if installed nginx; then
        for package in nginx nginx-common; do
            dpkg --verify "$package" 2>/dev/null | sed -n 's|.* \(/etc/.*\)|\1 (changed)|p'
        done
        find /etc/nginx/conf.d /etc/nginx/sites-enabled -mindepth 1 ! -path /etc/nginx/sites-enabled/default 2>/dev/null |
            while read -r file; do dpkg -S "$file" >/dev/null 2>&1 || echo "$file"; done
    else
        find /etc/nginx -mindepth 1 -maxdepth 1 2>/dev/null || true
    fi
}

foreign_keepalived() { find /etc/keepalived -name '*.conf' 2>/dev/null || true; }

# Once, before the first change: the configuration and the state of what was there already.
keep_original() {
    for product in $(products); do
        kept=$state/original/$product
        if [ -d "$kept" ]; then continue; fi
        rm -rf "$kept.new"
        mkdir -p "$kept.new"
        if [ -d "/etc/$product" ]; then
            cp -a "/etc/$product" "$kept.new/etc"
            systemctl is-enabled "$product" >"$kept.new/enabled" 2>/dev/null || true
            systemctl is-active "$product" >"$kept.new/active" || true
        fi
        mv "$kept.new" "$kept"
    done
    # shellcheck disable=SC2086 # a list
    [ -e "$state/original/sysctl" ] || sysctl $kernel_settings >"$state/original/sysctl"
}

restore_product() {
    product=$1
    kept=$state/original/$product
    if [ ! -d "$kept/etc" ] || diff -r --no-dereference "$kept/etc" "/etc/$product" >/dev/null 2>&1; then return; fi
    say "putting the configuration of $product back"
    rm -rf "/etc/${product:?}"
    cp -a "$kept/etc" "/etc/$product"
    installed "$product" || return 0
    [ "$(cat "$kept/enabled")" = enabled ] || systemctl -q disable "$product" 2>/dev/null || true
    if [ "$(cat "$kept/active")" = active ]; then systemctl reload-or-restart "$product" || true; else systemctl stop "$product"; fi
}

# Everything as it was before the first apply.
restore_host() {
    rm -rf "$stage"
    for unit in $(units "$current"); do
        [ "$unit" = nginx.service ] || systemctl -q disable --now "$unit" 2>/dev/null || true
    done
    # keepalived.conf, which is not named after us, goes or comes back with its folder.
    echo "$places" | while read -r _ place _; do
        case $place in *rancher-ha*) remove_file "$place" ;; esac
    done
    systemctl daemon-reload
    [ ! -e "$state/original/sysctl" ] || sysctl -q -p "$state/original/sysctl" >/dev/null || true
    remove_packages
    restore_product nginx
    restore_product keepalived
    rm -f /run/rancher-ha-nginx-down /run/rancher-ha-certificate
    rm -rf "$state"
    rmdir "$(dirname "$state")" 2>/dev/null || true
}
