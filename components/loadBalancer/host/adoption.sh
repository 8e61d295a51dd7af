# shellcheck shell=sh disable=SC2154
# What was on the host before: refused, or kept and put back.

products() { echo "nginx${virtual_ip:+ keepalived}"; }

# Refuses NGINX or keepalived that somebody configured, unless they are to be taken over.
check_foreign() {
    for product in $(products); do
        # What was kept of keepalived tells nothing once the host stopped being one of a pair.
        case $product in
        nginx) [ ! -d "$state/original/nginx" ] || continue ;;
        keepalived) [ ! -e "$current/keepalived.conf" ] || continue ;;
        esac
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
        find /etc/nginx/conf.d /etc/nginx/sites-enabled /etc/nginx/modules-enabled -mindepth 1 2>/dev/null | while read -r file; do
            # The package's own site, whose text was compared above, and modules of other packages.
            case $(readlink "$file") in /etc/nginx/sites-available/default | /usr/share/nginx/modules-available/*) continue ;; esac
            dpkg -S "$file" >/dev/null 2>&1 || echo "$file"
        done
    else
        find /etc/nginx -mindepth 1 -maxdepth 1 2>/dev/null || true
    fi
}

foreign_keepalived() { find /etc/keepalived -name '*.conf' -exec grep -L "$mark" {} + 2>/dev/null || true; }

# Once, before the first change: the configuration and the state of what was there already. A copy has its name once it is whole
# and on the disk.
keep_original() {
    for product in $(products); do
        kept=$state/original/$product
        # keepalived may have come to serve something else since the host stopped being one of a pair.
        if [ -d "$kept" ] && { [ "$product" = nginx ] || [ -e "$current/keepalived.conf" ] || ! foreign_keepalived | grep -qx /etc/keepalived/keepalived.conf; }; then continue; fi
        rm -rf "$kept.new" && mkdir -p "$kept.new" || return 1
        if [ -d "/etc/$product" ]; then
            cp -a "/etc/$product" "$kept.new/etc" || return 1
            enabled=$(systemctl is-enabled "$product" 2>/dev/null) || true
            active=$(systemctl is-active "$product") || true
            { echo "$enabled" >"$kept.new/enabled" && echo "$active" >"$kept.new/active"; } || return 1
        fi
        sync -f "$kept.new" && rm -rf "$kept" && mv "$kept.new" "$kept" || return 1
        kept_now="$kept_now $product"
    done
}

# Each before the first release that sets it.
keep_kernel_settings() {
    kept=$state/original/sysctl
    kernel_settings "$stage" | while read -r setting; do
        grep -qs "^$setting = " "$kept" && continue
        { { [ ! -e "$kept" ] || cat "$kept"; } && sysctl "$setting"; } >"$kept.new" && sync "$kept.new" && mv "$kept.new" "$kept" || exit 1
    done
}

# What is there now goes only when the whole copy lies beside it. A run that was killed before the service followed is finished.
restore_product() {
    product=$1
    kept=$state/original/$product
    if [ ! -d "$kept/etc" ]; then return 0; fi
    if [ ! -e "$kept/restoring" ] && diff -r --no-dereference "$kept/etc" "/etc/$product" >/dev/null 2>&1; then return 0; fi
    say "putting the configuration of $product back"
    touch "$kept/restoring" 2>/dev/null || true
    rm -rf "/etc/$product.new"
    { cp -a "$kept/etc" "/etc/$product.new" && rm -rf "/etc/${product:?}" && mv -T "/etc/$product.new" "/etc/$product"; } || {
        rm -rf "/etc/$product.new"
        say "the configuration of $product that was here before cannot be put back into /etc/$product. It stays in $kept/etc. Check free space in /etc, and run this again"
        return 1
    }
    if installed "$product"; then
        if [ "$(cat "$kept/enabled")" = enabled ]; then action=enable; else action=disable; fi
        systemctl -q "$action" "$product" 2>/dev/null || true
        if [ "$(cat "$kept/active")" = active ]; then systemctl reload-or-restart "$product" || true; else systemctl stop "$product"; fi
    fi
    rm -f "$kept/restoring"
}

restore_kernel_settings() { [ ! -e "$state/original/sysctl" ] || sysctl -q -p "$state/original/sysctl"; }

# Everything as it was before the first apply. What was kept stays until all of it is back.
restore_host() {
    rm -rf "$stage"
    unmask_nginx
    # The last one also when the link to its release is lost.
    for unit in $(units "$current") rancher-ha-certificate.path; do
        [ "$unit" = nginx.service ] || systemctl -q disable --now "$unit" 2>/dev/null || true
    done
    # keepalived.conf, which is not named after us, goes or comes back with its folder.
    echo "$places" | while read -r _ place _; do
        case $place in *rancher-ha*) remove_file "$place" ;; esac
    done
    systemctl daemon-reload
    restore_kernel_settings || true
    remove_packages
    restore_product nginx && restore_product keepalived || exit 1
    rm -f "$down_file" "$loaded_certificate"
    rm -rf "$state"
    rmdir "$(dirname "$state")" 2>/dev/null || true
}
