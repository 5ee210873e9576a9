# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# From the node to the API server of the kubeconfig: resolution, connection, handshake, and what the API server makes of the node's
# certificate. Certificates go from command to command through pipes, never through a file or an argument.

# The endpoint of URL as HOST and PORT (an IPv6 address without brackets).
endpoint() {
  rest=${1#*://}
  rest=${rest%%/*}
  rest=${rest##*@}
  PORT=443
  case $rest in
    \[*\]:*) HOST=${rest%%\]*} PORT=${rest##*\]:} HOST=${HOST#\[} ;;
    \[*\]) HOST=${rest#\[} HOST=${HOST%\]} ;;
    *:*) HOST=${rest%%:*} PORT=${rest#*:} ;;
    *) HOST=$rest ;;
  esac
  case $1 in http://*) [ "$PORT" = 443 ] && PORT=80 ;; esac
  case $HOST in *[!A-Za-z0-9._:-]* | '' | -*) return 1 ;; esac
  case $PORT in *[!0-9]* | '') return 1 ;; esac
}

is_address() {
  case $1 in
    *:*) return 0 ;;
    *[!0-9.]*) return 1 ;;
    *.*.*.*) return 0 ;;
  esac
  return 1
}

resolve() {
  if is_address "$HOST"; then
    say address "$HOST"
    say resolved yes
    return
  fi
  if ! has getent; then
    missing network.resolved missing_tool 'the node has no getent'
    return
  fi
  found=$(bounded 10 getent ahosts "$HOST" 2>/dev/null </dev/null || bounded 5 getent hosts "$HOST" 2>/dev/null </dev/null)
  status=$?
  if [ -n "$found" ]; then
    printf '%s\n' "$found" | awk '!seen[$1]++ && n++ < 8 { print "address", $1 }' | say_lines
    say resolved yes
  else
    say resolved no
    say resolve_status "$status"
  fi
}

# tell_handshake STATUS TEXT: what the parser needs of s_client's output.
tell_handshake() {
  say status "$1"
  printf '%s\n' "$2" | awk '/^CONNECTED\(/ { print "connected yes" } /^New, |^ *Protocol *: TLS|^ *Cipher *: [A-Z0-9]/ { if ($0 !~ /NONE/ && !n++) print "handshake yes" }
    /^ *Verify return code: / && !v++ { sub(/^ *Verify return code: /, ""); print "verify", substr($0, 1, 120) }
    /errno|[: ]error:|[Cc]onnection refused|timed out|unreachable|No route|[Nn]ame or service|name resolution|alert/ && !/^ *[Vv]erif|^verify|^depth/ && e++ < 4 { print "trouble", substr($0, 1, 240) }' | say_lines
  printf '%s\n' "$2" | pem | grep '^cert' | say_lines
}

ca_pem() { # of the kubeconfig
  if [ -n "$(field ca_data "$KUBE")" ]; then
    field ca_data "$KUBE" | decode
  else
    cat "$(absolute "$(field ca_path "$KUBE")" "${KUBECONFIG_FILE%/*}")" 2>/dev/null
  fi
}

certificate_pem() {
  if [ -n "$(field certificate_data "$KUBE")" ]; then field certificate_data "$KUBE" | decode; else cat "$KUBECONFIG_CERTIFICATE" 2>/dev/null; fi
}

key_pem() {
  if [ -n "$(field key_data "$KUBE")" ]; then
    head_of "$KUBECONFIG_FILE" | awk "$UNFOLD_AWK" | awk -v want=client-key-data "$KUBECONFIG_AWK" | decode
  else
    cat "$KUBECONFIG_KEY" 2>/dev/null
  fi
}

handshake() { # SECONDS ADDRESS SERVER_NAME [OPTIONS...]: s_client's output; its stdin is the request, its descriptor 3 the CA
  seconds=$1 address=$2 name=$3
  shift 3
  if is_address "$name"; then
    bounded "$seconds" openssl s_client -connect "$address" "$@" 2>&1
  else
    bounded "$seconds" openssl s_client -connect "$address" -servername "$name" "$@" 2>&1
  fi
}

network_section() {
  if [ "$KCP_API_PROBE" != yes ]; then
    missing network disabled 'api_probe is off'
    return
  fi
  server=$(field server "$KUBE")
  if [ -z "$server" ]; then
    missing network not_found 'no kubeconfig names a server'
    return
  fi
  if ! endpoint "$server"; then
    missing network malformed 'the server of the kubeconfig is no address'
    return
  fi
  open network api
  say host "$HOST"
  say port "$PORT"
  resolve
  if ! has openssl; then
    missing network.connect missing_tool 'the node has no openssl'
    return
  fi
  case $HOST in *:*) where="[$HOST]:$PORT" ;; *) where="$HOST:$PORT" ;; esac
  name=$(field tls_server_name "$KUBE")
  name=${name:-$HOST}
  case $name in *[!A-Za-z0-9._:-]* | -*) name=$HOST ;; esac
  shown=$(handshake 8 "$where" "$name" -showcerts </dev/null)
  tell_handshake "$?" "$shown"
  case $shown in *CONNECTED\(*) authenticate ;; esac
}

# The node's certificate is shown only to a server that the kubeconfig's CA and the name vouch for, and the request (a
# SelfSubjectReview) leaves nothing behind there.
authenticate() {
  if [ -z "$KUBECONFIG_CERTIFICATE$(field certificate_data "$KUBE")" ]; then
    missing network.authentication unsupported 'the kubeconfig names no client certificate'
    return
  fi
  if [ -z "$(ca_pem)" ]; then
    missing network.authentication tls 'the CA of the kubeconfig cannot be read, so the server cannot be trusted'
    return
  fi
  check=-verify_hostname
  is_address "$name" && check=-verify_ip
  body='{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}'
  answer=$(ca_pem | {
    exec 3<&0
    certificate_pem | {
      exec 4<&0
      key_pem | {
        exec 5<&0
        printf 'POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nHost: %s\r\nUser-Agent: kubelet-certs-probe\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$HOST" "${#body}" "$body" |
          ask "$where" "$name" -quiet -CAfile /dev/fd/3 -verify_return_error "$check" "$name" -cert /dev/fd/4 -key /dev/fd/5 -pass pass:
      }
    }
  })
  http=$(printf '%s\n' "$answer" | sed -n 's#^.*HTTP/1\.[01] \([0-9][0-9][0-9]\).*#\1#p' | sed -n 1p)
  if [ -n "$http" ]; then
    say http_status "$http"
    printf '%s\n' "$answer" | tr -d '\r\n' | sed -n 's/.*"username" *: *"\([^"]*\)".*/username \1/p' | cut -c 1-300 | say_lines
    case $http in
      2*) ;;
      *) say http_message "$(printf '%s\n' "$answer" | tr -d '\r\n' | sed -n 's/.*"message" *: *"\(\([^"\\]\|\\.\)*\)".*/\1/p' | cut -c 1-400)" ;;
    esac
  else
    say http_trouble "$(printf '%s\n' "$answer" | grep -i 'error\|alert\|errno\|unable\|could not' | sed -n 1,2p | tr '\n' ' ' | cut -c 1-300)"
  fi
}

ask() { handshake 10 "$@"; }

serving_section() {
  has openssl || {
    missing serving missing_tool 'the node has no openssl'
    return
  }
  port=$(flag port)
  port=${port:-$(setting port)}
  case $port in '' | *[!0-9]*) port=10250 ;; esac
  address=127.0.0.1
  for own in "$(flag address)" "$(setting address)"; do
    case $own in '' | 0.0.0.0 | :: | *[!0-9.]*) ;; *) address=$own ;; esac
  done
  open serving "$address"
  say port "$port"
  shown=$(bounded 5 openssl s_client -connect "$address:$port" -showcerts 2>&1 </dev/null)
  tell_handshake "$?" "$shown"
}
