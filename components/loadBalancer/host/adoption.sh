# shellcheck shell=sh disable=SC2154,SC3043
# Refuses or adopts the configuration that was on the host before, and restores an adopted one.

# Products whose configuration this run kept.
kept_now=

products() { echo "nginx${virtual_ip:+ keepalived}"; }

# Refuses a foreign configuration of NGINX or keepalived, unless it is to be adopted.
check_foreign() {
    local product foreign
    for product in $(products); do
        # Once a host has left a pair, its saved keepalived configuration is stale.
        case $product in
        nginx) [ ! -d "$state/original/nginx" ] || continue ;;
        keepalived) [ ! -e "$current/keepalived.conf" ] || continue ;;
        esac
        check_folder "$product"
        foreign=$("foreign_$product")
        if [ -z "$foreign" ]; then continue; fi
        [ -n "$take_over" ] || refuse host-not-fit "$product on this host is configured for something else:
$foreign
Choose another host, remove that configuration, or set takeOver: it is kept then, and restored by destroy"
        say "taking over the configuration of $product: it is kept in $state/original/$product"
    done
}

# Refuses a folder that is a link, because neither a copy nor its restoration reaches the files behind the link: PRODUCT.
check_folder() {
    local folder="/etc/$1"
    [ ! -L "$folder" ] || refuse host-not-fit "expected a folder $folder, found a link to $(readlink "$folder"). \
Move the folder itself to $folder, or choose another host"
}

foreign_nginx() {
    local package file
    if is_on_host nginx; then
        for package in nginx nginx-common; do
            dpkg --verify "$package" 2>/dev/null |
                sed -n 's|^missing .* \(/etc/.*\)|\1 (missing)|p; t; s|.* \(/etc/.*\)|\1 (changed)|p'
        done
        find /etc/nginx/conf.d /etc/nginx/sites-enabled /etc/nginx/modules-enabled -mindepth 1 2>/dev/null |
            while read -r file; do
                case $(readlink "$file") in
                # The package's own site was compared above. Modules of other packages are not foreign.
                /etc/nginx/sites-available/default | /usr/share/nginx/modules-available/*) continue ;;
                esac
                dpkg -S "$file" >/dev/null 2>&1 || echo "$file"
            done
    else
        find /etc/nginx -mindepth 1 -maxdepth 1 2>/dev/null || true
    fi
}

foreign_keepalived() { find /etc/keepalived -name '*.conf' -exec grep -L "$mark" {} + 2>/dev/null || true; }

# Keeps the configuration and the state of each product once, before the first change.
keep_original() {
    local product
    for product in $(products); do
        if is_kept "$product"; then continue; fi
        keep_product "$product" || abort host-storage "what is there could not be kept. Make space on the disk of $state"
        kept_now="$kept_now $product"
    done
}

# Reports whether the copy of a product exists. After a host has left a pair, its keepalived may have a foreign
# configuration: PRODUCT.
is_kept() {
    local product="$1"
    [ -d "$state/original/$product" ] || return 1
    [ "$product" = nginx ] || [ -e "$current/keepalived.conf" ] ||
        ! foreign_keepalived | grep -qx /etc/keepalived/keepalived.conf
}

keep_product() {
    local product="$1" kept="$state/original/$1" enabled active
    rm -rf "$kept.new" && mkdir -p "$kept.new" || return 1
    if [ -d "/etc/$product" ]; then
        cp -a "/etc/$product" "$kept.new/etc" || return 1
        enabled=$(systemctl is-enabled "$product" 2>/dev/null) || true
        active=$(systemctl is-active "$product") || true
        { echo "$enabled" >"$kept.new/enabled" && echo "$active" >"$kept.new/active"; } || return 1
    fi
    replace_folder "$kept"
}

# Renames FOLDER.new to FOLDER, once all of its files are on the disk: FOLDER.
replace_folder() {
    local folder="$1"
    sync -f "$folder.new" && rm -rf "$folder" && mv -T "$folder.new" "$folder"
}

# Deletes the copies that this run kept, for a host that served before.
forget_original() {
    local product
    for product in $kept_now; do rm -rf "$state/original/$product"; done
}

# Saves each sysctl's value before the first release that changes it.
keep_kernel_settings() {
    local kept="$state/original/sysctl" setting value
    kernel_settings "$stage" | while read -r setting; do
        grep -qs "^$setting = " "$kept" && continue
        value=$(sysctl "$setting") && echo "$value" | append "$kept" || exit 1
    done || abort host-storage "the present kernel settings could not be saved. Make space on the disk of $state"
}

restore_kernel_settings() { [ ! -e "$state/original/sysctl" ] || sysctl -q -p "$state/original/sysctl"; }

# Copies files that the next steps would delete or replace by earlier ones, such as certificates of another tool: PRODUCT.
rescue_files() {
    local product="$1" folder="/etc/$1" rescued file
    brought "$product" || [ -d "$state/original/$product/etc" ] || return 0
    rescued="$folder.rancher-ha-$(date -u +%F)"
    rescued_files "$product" | while IFS= read -r file; do
        # A run that is repeated has the copy already.
        same_folders "$folder/$file" "$rescued/$file" ||
            (mkdir -p "$rescued" && cd "$folder" && cp -a --backup=numbered --parents "./$file" "$rescued") ||
            [ ! -e "$folder/$file" ] || exit 1
    done || fail host-storage "files of other tools could not be copied from $folder to $rescued. Make space on the disk of /etc"
    [ ! -d "$rescued" ] || say "files of other tools that $folder loses are kept in $rescued"
}

# Lists the files of a product's folder that belong neither to a package nor to this library, and are not in the copy that
# will be restored: PRODUCT.
rescued_files() {
    local product="$1" folder="/etc/$1" file
    find "$folder" -mindepth 1 ! -type d -printf '%P\n' 2>/dev/null | while IFS= read -r file; do
        case $file:$(readlink "$folder/$file") in
        rancher-ha:* | rancher-ha.new:* | *.dpkg-dist:* | *.dpkg-new:*) continue ;;
        *:/etc/nginx/sites-available/default | *:/usr/share/nginx/modules-available/*) continue ;;
        esac
        grep -qs "$mark" "$folder/$file" || same_folders "$folder/$file" "$state/original/$product/etc/$file" ||
            dpkg -S "$folder/$file" >/dev/null 2>&1 || echo "$file"
    done
}

# Restores the configuration of a product: PRODUCT. The present configuration stays until the whole copy lies beside it.
# A run that is killed before it restores the service leaves `restoring`, and the next run finishes.
restore_product() {
    local product="$1" kept="$state/original/$1"
    if [ ! -d "$kept/etc" ]; then return 0; fi
    if [ ! -e "$kept/restoring" ] && same_folders "$kept/etc" "/etc/$product"; then return 0; fi
    say "putting the configuration of $product back"
    touch "$kept/restoring" 2>/dev/null || true
    rm -rf "/etc/$product.new"
    { cp -a "$kept/etc" "/etc/$product.new" && replace_folder "/etc/$product"; } || {
        rm -rf "/etc/$product.new"
        say "$(coded rollback-failed "the earlier configuration of $product cannot be restored into /etc/$product. \
It stays in $kept/etc. Make space on the disk of /etc, and run this again")"
        return 1
    }
    ! installed "$product" || restore_service "$product" "$kept"
    rm -f "$kept/restoring"
}

# Restores whether a service starts at boot and whether it runs: PRODUCT KEPT.
restore_service() {
    local product="$1" kept="$2" action=disable
    [ "$(cat "$kept/enabled")" != enabled ] || action=enable
    systemctl -q "$action" "$product" 2>/dev/null || true
    if [ "$(cat "$kept/active")" = active ]; then
        # A package of the product that was installed since may refuse this configuration. The reload of nginx.org's package
        # only sends a signal, which succeeds all the same.
        { systemctl reload-or-restart "$product" && { [ "$product" != nginx ] || nginx -t -q; }; } 2>/dev/null ||
            say "$product does not run with its earlier configuration. Look at $product -t and journalctl -u $product"
    else
        systemctl stop "$product"
    fi
}

# Restores the host as it was before the first apply. The copies stay until all of them are restored.
restore_host() {
    local unit place
    rm -rf "$stage"
    unmask_nginx
    # Units of this library are disabled even when the link to their release is lost.
    for unit in $(units "$current") $(triggers); do
        [ "$unit" = nginx.service ] || systemctl -q disable --now "$unit" 2>/dev/null || true
    done
    # keepalived.conf is not named after this library. It is removed or restored with its folder.
    echo "$places" | while read -r _ place _; do
        case $place in *rancher-ha*) remove_file "$place" ;; esac
    done
    systemctl daemon-reload
    delete_filter
    restore_kernel_settings || true
    rescue_files nginx
    rescue_files keepalived
    remove_packages
    restore_product nginx && restore_product keepalived || exit 1
    rm -f "$down_file" "$loaded_certificate"
    forget_host
}

# Removes the state of this host. A rename comes first, so that a killed run leaves no part of a copy, which the next run
# would restore. A file system of its own cannot be renamed.
forget_host() {
    mv -T "$state" "$state.removed" 2>/dev/null || rm -rf "$state"
    remove_renamed_state
}

# Removes what forget_host renamed.
remove_renamed_state() {
    rm -rf "$state.removed"
    rmdir "$(dirname "$state")" 2>/dev/null || true
}
