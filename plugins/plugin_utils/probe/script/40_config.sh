# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes.
# shellcheck disable=SC2016
#
# kubeconfig and KubeletConfiguration, read by their indentation: known keys only, embedded data never as it stands.
# A kubeconfig in JSON is unfolded before. Flow style and JSON elsewhere (but for a KubeletConfiguration with one key a line), anchors and
# tabs are said to be unsupported.

# A file that is one JSON object → YAML, one key a line; any other as it is.
UNFOLD_AWK='
{ text = text $0 "\n" }
function skip() { while (at <= size && substr(text, at, 1) ~ /[ \t\r\n,:]/) at++; return substr(text, at, 1) }
function scalar(   rest, end, more) {
  if (substr(text, at, 1) != "\"") { rest = substr(text, at, 64); match(rest, /^[^], \t\r\n}]*/); at += RLENGTH ? RLENGTH : 1; return substr(rest, 1, RLENGTH) }
  rest = substr(text, at + 1); end = 0
  do { more = index(substr(rest, end + 1), "\""); if (!more) { at = size + 1; return "" } end += more } while (substr(rest, end - 1, 1) == "\\")
  at += end + 1; rest = substr(rest, 1, end - 1)
  gsub(/\\u003d/, "=", rest); gsub(/\\\//, "/", rest); gsub(/\\n/, "", rest)
  return "\"" rest "\""
}
function value(indent, name,   kind) {
  kind = skip()
  if (kind == "{" || kind == "[") { print indent name; at++; if (depth++ < 20) inside(indent "  ", kind == "{"); depth-- }
  else print indent name " " scalar()
}
function inside(indent, mapping,   name) {
  while ((name = skip()) != "" && name !~ /[]}]/ && lines++ < 2000) {
    if (mapping) { name = scalar(); value(indent, name ":") } else value(indent, "-")
  }
  at++
}
END {
  size = length(text); at = 1
  if (skip() != "{") { printf "%s", text; exit }
  at++; inside("", 1)
}'

# Prints "name value" lines. ca_data and certificate_data are for the caller only. With -v want=KEY it prints that value of the user
# and nothing else.
KUBECONFIG_AWK='
function clean(s) {
  sub(/^[ \t]+/, "", s)
  if (s ~ /^"/) { s = substr(s, 2); sub(/"[ \t]*(#.*)?$/, "", s) }
  else if (s ~ /^\047/) { s = substr(s, 2); sub(/\047[ \t]*(#.*)?$/, "", s) }
  else { sub(/[ \t]+#.*$/, "", s); sub(/[ \t]+$/, "", s) }
  return s
}
function flow(s) { return s ~ /^[[{&*!]/ && s !~ /^(\[\]|\{\})$/ }
function keep() { if (slot != "") v[slot] = more }
{ sub(/\r$/, "") }
/^[ ]*(#|$)/ || /^(---|\.\.\.)/ || /^%/ { next }
/^[ ]*\t/ { bad = "indented by tabs"; next }
{
  match($0, /^ */); ind = RLENGTH; line = substr($0, ind + 1); dash = 0
  while (line ~ /^-( |$)/) { dash = 1; match(line, /^-( +|$)/); ind += RLENGTH; line = substr(line, RLENGTH + 1) }
  if (line ~ /^[[{]/ && top == "") { bad = "flow style or JSON"; exit }
  if (line ~ /^["\047]?[A-Za-z][A-Za-z0-9_.-]*["\047]?[ ]*:([ ]|$)/ && !(slot != "" && ind > slotind && wide)) {
    key = line; sub(/[ ]*:.*/, "", key); gsub(/["\047]/, "", key); value = line; sub(/^[^:]*:/, "", value); value = clean(value)
    slot = ""; wide = 0
  } else {
    if (slot != "" && ind > slotind) { part = line; gsub(/[ \t"\047]/, "", part); v[slot] = v[slot] part }
    if (line == "" && dash && list() && (i0 < 0 || ind <= i0)) { n[top]++; i0 = -1; inner = ""; waiting = 1 }
    next
  }
  if (ind == 0 && !dash) {
    top = key; i0 = -1; inner = ""; waiting = 0
    if (key == "current-context") current = value
    if ((list() || key == "current-context") && flow(value)) bad = "flow style or anchors"
    next
  }
  if (!list()) next
  if (dash && (i0 < 0 || ind == i0)) { n[top]++; i0 = ind; inner = ""; i1 = -1 }
  else if (waiting && i0 < 0) { i0 = ind }
  else if (dash) next
  if (ind == i0) {
    inner = ""; i1 = -1
    if (key == "name") v[top, n[top], "name"] = value
    else if (key "s" == top) { inner = key; if (flow(value)) bad = "flow style or anchors" }
    next
  }
  if (inner == "") next
  if (i1 < 0 && ind > i0) i1 = ind
  if (ind != i1) next
  if (key == "<<" || (flow(value) && key !~ /^(exec|auth-provider|extensions)$/)) { bad = "flow style or anchors"; next }
  slot = top SUBSEP n[top] SUBSEP key; slotind = ind
  if (value ~ /^[|>][0-9+-]*$/) { wide = 1; value = "" }
  v[slot] = value; seen[slot] = 1
}
function list() { return top == "clusters" || top == "contexts" || top == "users" }
function find(kind, name,   i) { for (i = 1; i <= n[kind]; i++) if (v[kind, i, "name"] == name) return i; return 0 }
function anonymous(url,   scheme) { if (url !~ /@/) return url; if (match(url, /^[A-Za-z0-9+.-]*:\/\//)) scheme = substr(url, 1, RLENGTH); sub(/^.*@/, "", url); return scheme url }
function tell(name, value) { if (value != "") print name, value }
END {
  if (bad != "") { if (want == "") print "unsupported", bad; exit }
  c = find("contexts", current); cl = find("clusters", v["contexts", c, "cluster"]); u = find("users", v["contexts", c, "user"])
  if (want != "") { if (u) print v["users", u, want]; exit }
  tell("context", current)
  if (!c) print "broken current-context names no context of the file"
  else if (!cl) print "broken the context names no cluster of the file"
  if (cl) {
    tell("server", anonymous(v["clusters", cl, "server"])); tell("tls_server_name", v["clusters", cl, "tls-server-name"])
    tell("proxy_url", anonymous(v["clusters", cl, "proxy-url"])); tell("insecure", v["clusters", cl, "insecure-skip-tls-verify"])
    tell("ca_path", v["clusters", cl, "certificate-authority"]); tell("ca_data", v["clusters", cl, "certificate-authority-data"])
  }
  if (c) tell("user", v["contexts", c, "user"])
  if (u) {
    tell("certificate", v["users", u, "client-certificate"]); tell("key", v["users", u, "client-key"])
    tell("certificate_data", v["users", u, "client-certificate-data"])
    tell("token_file", v["users", u, "tokenFile"])
    if (v["users", u, "client-key-data"] != "") print "key_data yes"
    if (("users", u, "exec") in seen) print "exec yes"
    token = v["users", u, "token"]
    if (token != "") { print "token yes"; at = index(token, "."); if (at == 7 && length(token) == 23) print "token_id", substr(token, 1, 6) }
  }
}'

read_kubeconfig() { # FILE: its fields
  head_of "$1" | tr -d '\000' | awk "$UNFOLD_AWK" | awk -v want= "$KUBECONFIG_AWK"
}

kubeconfig_section() { # KIND FILE; leaves the fields in FIELDS
  FIELDS=
  file_section "$1" "$2"
  [ -f "$2" ] && [ -r "$2" ] || return 0
  say_digest sha256 "$2"
  FIELDS=$(read_kubeconfig "$2")
  printf '%s\n' "$FIELDS" | grep -v '^\(ca_data\|certificate_data\) ' | say_lines
  folder=${2%/*}
  data=$(field ca_data "$FIELDS")
  path=$(absolute "$(field ca_path "$FIELDS")" "$folder")
  if [ -n "$data" ]; then
    say ca_source data
    printf '%s' "$data" | decode | tr -d '\000' | pem | sed -n 's/^cert /ca_cert /p' | say_lines
  elif [ -n "$path" ]; then
    say ca_source file
    [ -r "$path" ] && head_of "$path" | tr -d '\000' | pem | sed -n 's/^cert /ca_cert /p' | say_lines
    [ -r "$path" ] || say ca_unreadable yes
  fi
  data=$(field certificate_data "$FIELDS")
  if [ -n "$data" ]; then
    say user_data yes
    printf '%s' "$data" | decode | tr -d '\000' | pem | sed -n 's/^cert /user_cert /p' | say_lines
  fi
}

# KubeletConfiguration → "set KEY VALUE"; feature gates as "gate NAME VALUE".
CONFIG_AWK='
{ sub(/\r$/, "") }
/^[ ]*(#|$)/ || /^(---|\.\.\.)/ { next }
/^[ ]*[]{}],?[ ]*$/ { braces = 1; next }
/^[ ]*\t/ { bad = 1 }
/^[ ]*[[{]/ { bad = 1; next }
{
  match($0, /^ */); ind = RLENGTH; line = substr($0, ind + 1)
  if (line !~ /^["\047]?[A-Za-z][A-Za-z0-9_.-]*["\047]?[ ]*:([ ]|$)/) next
  if (base == "") base = ind
  key = line; sub(/[ ]*:.*/, "", key); gsub(/["\047]/, "", key)
  value = line; sub(/^[^:]*:[ \t]*/, "", value); sub(/[ \t]+#.*$/, "", value); sub(/,?[ \t]*$/, "", value); gsub(/^["\047]|["\047]$/, "", value)
  while (depth > 0 && ind <= at[depth]) depth--
  path = ""; for (i = 1; i <= depth; i++) path = path name[i] "."
  if (depth == 0 && ind != base) { bad = 1; next }
  depth++; at[depth] = ind; name[depth] = key
  if (value ~ /^[[{]/ && value !~ /^(\{\}|\[\])$/ && value != "{" && value != "[" && path key ~ /^(authentication|authentication\.x509|featureGates)$/) { bad = 1; next }
  plain = tolower(key); gsub(/[-_.]/, "", plain)
  if (plain ~ /^(rotate(client|kubelet|kubeletclient)?certificates?|certificaterotation|rotateservercertificates?|(enable)?servertlsbootstrap)$/ && path key !~ /^(rotateCertificates|serverTLSBootstrap)$/ && odd++ < 4) print "odd", path key
  if (path key ~ /^(kind|rotateCertificates|serverTLSBootstrap|tlsCertFile|tlsPrivateKeyFile|authentication\.x509\.clientCAFile|staticPodPath|port|address|enableServer|healthzPort|healthzBindAddress)$/) print "set", path key, value
  else if (path == "featureGates.") print "gate", key, (tolower(value) ~ /^(true|false)$/ ? value : "?")
}
END { if (bad || (NR > 0 && base == "")) print "unsupported yes" }'

# layer FILE SETTINGS: what one file of several says about rotation.
layer() {
  say layer "$1"
  say layer.modified "$(bounded 5 stat -L -c %Y "$1" 2>/dev/null </dev/null)"
  say layer.client "$(field 'set rotateCertificates' "$2")"
  say layer.serving "$(field 'set serverTLSBootstrap' "$2")"
  say_digest layer.sha256 "$1"
}

config_section() { # leaves the values in CONFIG
  CONFIG=
  [ -n "$CONFIG_FILE" ] || return 0
  file_section config "$CONFIG_FILE"
  [ -f "$CONFIG_FILE" ] && [ -r "$CONFIG_FILE" ] && CONFIG=$(head_of "$CONFIG_FILE" | tr -d '\000' | awk "$CONFIG_AWK")
  layer "$CONFIG_FILE" "$CONFIG"
  for file in "$CONFIG_FOLDER"/*.conf; do
    if [ -z "$CONFIG_FOLDER" ] || [ ! -f "$file" ] || [ "$file" = "$CONFIG_FILE" ]; then continue; fi
    say drop_in "$file"
    if [ -r "$file" ]; then
      own=$(head_of "$file" | tr -d '\000' | awk "$CONFIG_AWK")
      layer "$file" "$own"
      CONFIG="$CONFIG$NL$own"
    else
      say drop_in_denied "$file"
    fi
  done
  printf '%s\n' "$CONFIG" | grep . | say_lines
}

setting() { printf '%s\n' "$CONFIG" | sed -n "s/^set $1 //p" | tail -n 1; }
