# shellcheck shell=sh
# Runs ssh-keygen on the text on standard input: ARGUMENT...
# Node's own pipe is a socket, which ssh-keygen cannot open by the name /dev/stdin. The pipe of a shell has no such limit.
cat | exec ssh-keygen "$@" -f /dev/stdin
