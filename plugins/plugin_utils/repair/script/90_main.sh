# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The parts share their variables.
# shellcheck disable=SC2034
#
# Starts the act, and ends it when its time is over.

act() {
  # A signal that comes inside a function whose output is thrown away must still be heard.
  exec 4>&1
  trap 'exec >&4; fail "stopped by a signal"' TERM HUP INT
  trap '' PIPE
  NOW=$(date +%s)
  STAMP=$(date -u +%Y%m%dT%H%M%SZ)
  ROOT=no
  [ "$(id -u)" = 0 ] && ROOT=yes
  find_timeout
  say_certificate before
  [ "$ROOT" = yes ] || fail 'only root can repair this: use become'
  [ -n "$(printf x | sha256)" ] || fail 'the node has neither sha256sum nor openssl'
  "act_$KCR_ACT"
  fail 'the act ended without a result'
}

# descendants PID: the processes that it started, and those that they did.
descendants() {
  for file in /proc/[0-9]*/stat; do
    sed 's/(.*)/-/' "$file"
  done | awk -v root="$1" '
    { parent[$1] = $4 }
    END { for (pid in parent) for (up = parent[pid]; up > 1; up = parent[up]) if (up == root) { print pid; break } }'
}

# Nothing runs before all of the script has come, nothing reads its stdin. At the end of the time the act is told to put things back.
main() {
  {
    act &
    work=$!
    trap 'kill -TERM $work' TERM HUP INT
    (
      exec >/dev/null 2>&1
      trap 'kill $nap; exit' TERM
      sleep "$KCR_LIMIT" &
      nap=$!
      wait $nap
      started=$(descendants $work)
      # shellcheck disable=SC2086
      kill -TERM $work $started
      sleep 20 &
      nap=$!
      wait $nap
      started=$(descendants $work)
      # shellcheck disable=SC2086
      kill -KILL $work $started
    ) &
    guard=$!
    # A signal ends the waiting, not the work.
    while kill -0 $work; do wait $work; done
    kill -TERM $guard
  } | scrub
}

exec 2>/dev/null
main </dev/null
exit 0
