# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes.
# shellcheck disable=SC2016
#
# The kubelet's log: lines about certificates and the API server, newest first, counted by shape (the line without its numbers), so
# that a line repeated ten thousand times is sent once.

LOG_WANTED='certificate|client cert|x509|tls:|tls handshake|csr|bootstrap|kubeconfig|unauthorized|forbidden|system:anonymous|no such host|server misbehaving|name resolution|i/o timeout|connection refused|no route to host|network is unreachable|client.timeout exceeded|asked for the client to provide|read-only file system|no space left|quota exceeded|private key|pem data|cert/key|symlink|rotat|node lease|only its own node|failed to run kubelet|command failed|failed to load kubelet|lenient decoding|failed to validate kubelet|kubelet dependencies|admission webhook|calling webhook|call webhook|too many requests|proxyconnect|etcdserver|etcd cluster|database space|validatingadmissionpolicy|client ca file'
LOG_UNWANTED='prober\.go|probe failed|proberesult|imagepull|image_pull|pullimage|mountvolume|operationexecutor|error syncing pod|crashloopbackoff|dial unix|cni plugin|pod sandbox'

# Lines "<time> <rest>", newest first → total, first, last, "shape COUNT FIRST LAST TEXT", "line TIME TEXT". The texts are whole still:
# in the end of one that was cut, a secret has lost the shape that scrub knows it by.
LOG_AWK='
function clip(s) { return length(s) <= 640 ? s : substr(s, 1, 318) " ... " substr(s, length(s) - 317) }
function trim(s) { sub(/^[^ ]+ [^ ]*\[[0-9]+\]: /, "", s); return s }
syslog && !/^([IWEF][0-9][0-9][0-9][0-9] |[A-Z][a-z][a-z] +[0-9]+ |[12][0-9][0-9][0-9]-|[{])/ { next }
syslog && /^[{]/ { t = "-"; rest = $0 }
syslog && !/^[{]/ { if (substr($0, 1, 4) ~ /^[12][0-9][0-9][0-9]$/) { t = $1; rest = substr($0, length($1) + 2) } else { t = $1 "_" $2 "_" $3; rest = $0; sub(/^[^ ]+ +[^ ]+ +[^ ]+ /, "", rest) } }
$0 == "#partial" { partial = 1; next }
!syslog && /^-- Boot / { boot = 1; next }
!syslog { if ($1 !~ /^[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]+(\.[0-9]+)?$/) next; t = $1; sub(/\..*/, "", t); rest = substr($0, length($1) + 2) }
# The kubelet was down from the line with which systemd ended it until the next one; so was all of the machine between two boots.
{ total++; if (total == 1) newest = t; low = tolower(rest) }
!syslog && total > 1 && (boot || low ~ /systemd\[[0-9]+\]: .*(stopped|deactivated successfully|failed with result)/) && oldest - t > down { down = oldest - t; down_from = t; down_to = oldest }
{ oldest = t; boot = 0 }
low !~ wanted || (low ~ unwanted && low !~ /command failed|failed to run kubelet/) { next }
{
  rest = trim(rest)
  # A line of a key that was logged, by itself.
  if (rest !~ /[^A-Za-z0-9+\/=_-]/) next
  matched++
  if (length(rest) > 65536) { rest = substr(rest, 1, 65536); sub(/[^ ]*$/, "", rest) }
  if (matched <= cap) line[matched] = t " " rest
  shape = clip(rest); gsub(/csr-[a-z0-9]+/, "csr-#", shape); gsub(/[0-9]+/, "#", shape)
  if (!(shape in count)) { if (shapes >= 60) { over++; next } order[++shapes] = shape; text[shape] = rest; last[shape] = t }
  count[shape]++; first[shape] = t
}
END {
  print "lines", total + 0; print "matched", matched + 0; print "over", over + 0
  if (total) { print "first", oldest; print "last", newest }
  for (i = 1; i <= shapes; i++) print "shape", count[order[i]], first[order[i]], last[order[i]], text[order[i]]
  for (i = 1; i <= matched && i <= cap; i++) print "line", line[i]
  if (down > 0) print "down", down_from, down_to
  if (partial) print "partial yes"
  print "complete yes"
}'

# The texts without long words of mixed letters and digits (base64 and the like), then their beginnings and ends: the end holds the error.
CLIP_AWK='
function clip(s) { return length(s) <= 640 ? s : substr(s, 1, 318) " ... " substr(s, length(s) - 317) }
function hide(s,   out, word) {
  while (match(s, /[A-Za-z0-9+\/_=-]+/)) {
    word = substr(s, RSTART, RLENGTH)
    out = out substr(s, 1, RSTART - 1); s = substr(s, RSTART + RLENGTH)
    if (length(word) >= 40 && word ~ /[A-Z]/ && word ~ /[a-z]/ && word ~ /[0-9]/ && word !~ /^node-csr-/ || length(word) >= 100) word = "[removed]"
    out = out word
  }
  return out s
}
match($0, /^(shape [^ ]+ [^ ]+ [^ ]+|line [^ ]+) /) { head = substr($0, 1, RLENGTH); print head clip(hide(substr($0, RLENGTH + 1))); next }
{ print }'

digest() { # SYSLOG
  tr -d '\000' | awk -v syslog="$1" -v cap="$KCP_LOG_LINES" -v wanted="$LOG_WANTED" -v unwanted="$LOG_UNWANTED" "$LOG_AWK" | scrub |
    awk "$CLIP_AWK" | say_lines
}

log_section() {
  since=$((NOW - KCP_LOG_SINCE))
  # RKE2 starts the kubelet with a log file of its own; without a kubelet, its journal says why.
  own=
  case $UNIT in rke2*) [ -n "$KUBELET_PID" ] && [ -s "$DATA_DIR/agent/logs/kubelet.log" ] && own=$DATA_DIR/agent/logs/kubelet.log ;; esac
  if [ -z "$own" ] && has journalctl; then
    open log journal
    say since "$since"
    # Without -q, which keeps journalctl from saying that it shows a user its own lines only.
    trouble=$(bounded 5 journalctl --no-pager -o short-unix -u "$UNIT" -n 1 2>&1 >/dev/null </dev/null | head -n 2)
    case $trouble in
      *ermission* | *'not seeing messages'*) missing log not_permitted 'the journal cannot be read by this user' ;;
      *) {
        bounded $((KCP_TIMEOUT / 4)) journalctl -q --no-pager -o short-unix -u "$UNIT" --since "@$since" -r 2>/dev/null </dev/null
        status=$?
        case $status in 124 | 137 | 143) echo '#partial' ;; esac
      } | { digest 0; } ;;
    esac
    return
  fi
  for file in "$own" "$(flag log-file)" "$KCP_LOG_FILE" /var/log/kubelet.log /var/log/kubernetes/kubelet.log /var/log/messages /var/log/syslog; do
    if [ -z "$file" ] || [ ! -f "$file" ]; then continue; fi
    open log "file $file"
    if [ ! -r "$file" ]; then
      missing log not_permitted "$file cannot be read"
      return
    fi
    say since "$since"
    say zone "$(unset TZ && date +%z)"
    only=.
    case $file in */messages | */syslog) only='kubelet\|k3s' ;; esac
    bounded 10 tail -c 8388608 "$file" 2>/dev/null </dev/null | grep "$only" | awk '{ kept[NR] = $0 } END { for (i = NR; i > 0; i--) print kept[i] }' | digest 1
    return
  done
  open log none
}
