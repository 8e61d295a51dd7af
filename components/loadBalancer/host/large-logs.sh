# shellcheck shell=sh
# Succeeds when a log of NGINX is larger than 1 GB.
find /var/log/nginx -name '*.log' -size +1G | grep -q .
