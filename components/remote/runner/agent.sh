# shellcheck shell=sh
# Runs as the command of ssh-agent. Prints a line once the agent listens, and ends the agent when standard input ends.
echo
cat
kill "$SSH_AGENT_PID"
