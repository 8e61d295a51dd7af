# shellcheck shell=bash disable=SC2154
# Succeeds when NGINX of this host answers on $status_port. bash opens TCP connections without another program.
exec 3<>"/dev/tcp/127.0.0.1/$status_port" || exit 1
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 1 line <&3 && [[ $line == *" 200 "* ]]
