# shellcheck shell=sh
# Removes a folder when standard input ends: FOLDER.
cat
rm -rf "$1"
