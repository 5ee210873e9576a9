# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The parts share their variables.
# shellcheck disable=SC2153,SC2034
#
# Acts on the folder of the certificates.

PATTERN_TIME='[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]-[0-9][0-9]-[0-9][0-9]-[0-9][0-9]'

the_folder() {
  need pki_path "$KCR_PKI"
  [ -d "$KCR_PKI" ] || fail "$KCR_PKI is no folder"
  if [ -L "$KCR_PKI" ]; then fail "$KCR_PKI is a link: name the folder itself"; fi
}

# mode_due PATH MODE BAD: notes in FIXES what has another owner than root or a mode that matches BAD.
mode_due() {
  [ -L "$1" ] && return 0
  seen=$(bounded 5 stat -c '%a %u:%g' "$1" </dev/null)
  [ -n "$seen" ] || fail "$1 cannot be looked at"
  mode=$(printf '%03d' "${seen%% *}") owner=${seen#* }
  case $owner in
    0:*) printf '%s\n' "$mode" | grep -E "$3" >/dev/null || return 0 ;;
  esac
  FIXES="$FIXES$1$TAB$mode$TAB$owner$TAB$2$NL"
}

immutable() { # PATH
  has lsattr && case $(bounded 5 lsattr -d "$1" 2>/dev/null </dev/null | awk '{ print $1 }') in *i*) return 0 ;; esac
  return 1
}

writable() { # a file can be made in the folder
  new=$KCR_PKI/.kubecare-try-$KCP_NONCE
  (
    set -C
    : >"$new"
  ) && bounded 10 rm -f "$new" </dev/null
}

act_repair_modes() {
  the_folder
  FIXES='' FLAGS=''
  # The owner may do less than all, or others may write.
  mode_due "$KCR_PKI" 0755 '[0-6]..$|[2367].$|[2367]$'
  immutable "$KCR_PKI" && FLAGS="$KCR_PKI$NL"
  for file in "$KCR_PKI"/kubelet*.pem "$KCR_PKI"/kubelet.key; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    case $file in *"$NL"* | *"$TAB"*) continue ;; esac
    # Not to be read and written by its owner, or anything by others.
    mode_due "$file" 0600 '[0-5]..$|[1-7].$|[1-7]$'
    immutable "$file" && FLAGS="$FLAGS$file$NL"
  done
  [ -n "$FIXES$FLAGS" ] || finish nothing_to_do "$KCR_PKI and its files have their owner and modes"
  verify_bound
  set -f
  saved=$IFS
  IFS=$NL
  for path in $FLAGS; do
    IFS=$saved
    change "take the immutable flag from $path"
    differs "$path" immutable 'not immutable'
    checking && continue
    remember fixed "$path"
    touched
    bounded 10 chattr -i "$path" </dev/null || fail "$path stays immutable"
  done
  IFS=$NL
  for record in $FIXES; do
    IFS=$saved
    path=${record%%"$TAB"*} rest=${record#*"$TAB"}
    mode=${rest%%"$TAB"*} rest=${rest#*"$TAB"}
    owner=${rest%%"$TAB"*} wanted=${rest#*"$TAB"}
    change "owner root and mode $wanted for $path"
    differs "$path" "mode 0$mode owner $owner" "mode $wanted owner 0:0"
    checking && continue
    remember mode "$path" "$mode" "$owner"
    touched
    case $owner in
      0:*) ;;
      *) bounded 10 chown -h 0:0 "$path" </dev/null || fail "$path: its owner cannot be changed" ;;
    esac
    if [ -L "$path" ]; then fail "$path became a link"; fi
    bounded 10 chmod "$wanted" "$path" </dev/null || fail "$path: its mode cannot be changed"
  done
  IFS=$saved
  set +f
  checking || writable || fail "nothing can be written in $KCR_PKI even so"
  finish "done" "owner and modes are as the kubelet makes them"
}

act_repair_link() {
  the_folder
  current=$KCR_PKI/kubelet-client-current.pem
  updated=$KCR_PKI/kubelet-client-updated.pem
  if [ -d "$current" ] || [ -d "$updated" ]; then fail "a folder stands where a link belongs in $KCR_PKI"; fi
  left=no
  if [ -e "$updated" ] || [ -L "$updated" ]; then left=yes; fi
  best=
  for file in "$KCR_PKI"/kubelet-client-$PATTERN_TIME.pem; do
    [ -f "$file" ] && [ ! -L "$file" ] && good_for_client "$file" && best=$file
  done
  own=no
  if [ -f "$current" ] && [ ! -L "$current" ] && good_for_client "$current"; then
    # A file in the place of the link: it keeps its content, under the name of now.
    own=yes
    best=$KCR_PKI/kubelet-client-$(date -u +%Y-%m-%d-%H-%M-%S).pem
  fi
  target=$(readlink "$current")
  linked=no
  case $target in
    "$best" | "${best##*/}") [ -n "$best" ] && linked=yes ;;
  esac
  # Nothing better than where it leads: only the left-over is in the way.
  [ -z "$best" ] && [ -L "$current" ] && [ -f "$current" ] && linked=yes
  [ "$linked$left" = yesno ] && finish nothing_to_do "$current leads to the newest usable file"
  verify_bound
  [ -n "$best" ] || [ "$linked" = yes ] || fail "no file in $KCR_PKI holds a certificate of this node that has not ended, and its key"
  if [ "$left" = yes ]; then
    change "move $updated aside"
    set_aside "$updated"
  fi
  if [ "$linked" = no ]; then
    change "point $current to $best"
    differs "$current" "${target:+link to $target}" "link to $best"
    if ! checking; then
      if [ "$own" = yes ]; then
        [ ! -e "$best" ] && [ ! -L "$best" ] || fail "$best is there already"
        remember new "$best"
        bounded 20 cp -p "$current" "$best" </dev/null || fail "$best cannot be written"
        [ "$(sha_of_file "$current")" = "$(sha_of_file "$best")" ] || fail "$best was not written whole"
      fi
      new=$current.kubecare-new-$KCP_NONCE
      remember new "$new"
      ln -s "$best" "$new" || fail "$new cannot be made"
      if [ -e "$current" ] || [ -L "$current" ]; then
        # The backup is a link too, or a copy: the name itself is never without a file.
        backup_name "$current"
        remember new "$BACKUP"
        if [ -L "$current" ]; then ln -s "$target" "$BACKUP"; else bounded 20 cp -p "$current" "$BACKUP" </dev/null; fi || fail "$BACKUP cannot be written"
        remember copied "$current" "$BACKUP"
        BACKUPS="$BACKUPS$BACKUP$NL"
      else
        remember new "$current"
      fi
      touched
      bounded 20 mv -f "$new" "$current" </dev/null || fail "$current cannot be replaced"
      good_for_client "$current" || fail "$current $WHY after the change"
    fi
  fi
  finish "done" "$KCR_PKI is in order"
}

room() { # a new certificate can be written, and the link to it
  new=$KCR_PKI/.kubecare-room-$KCP_NONCE
  (
    set -C
    bounded 10 head -c 16384 /dev/zero >"$new" </dev/null
  )
  written=$(wc -c <"$new")
  ln -s "$new" "$new-link" || written=0
  bounded 10 rm -f "$new" "$new-link" </dev/null
  [ "${written:-0}" -eq 16384 ]
}

act_free_space() {
  the_folder
  need remove "$KCR_REMOVE"
  due='' keep=' '
  for kind in client server; do
    target=$(readlink "$KCR_PKI/kubelet-$kind-current.pem")
    keep="$keep${target##*/} "
    last='' before=''
    for file in "$KCR_PKI"/kubelet-$kind-$PATTERN_TIME.pem; do
      [ -e "$file" ] || continue
      before=$last last=${file##*/}
    done
    keep="$keep$last $before "
  done
  for name in $KCR_REMOVE; do
    file=$KCR_PKI/$name
    if [ ! -e "$file" ] && [ ! -L "$file" ]; then continue; fi
    # shellcheck disable=SC2254 # the name of a time is a pattern, and meant as one
    case $name in
      kubelet-client-$PATTERN_TIME.pem | kubelet-server-$PATTERN_TIME.pem) ;;
      *) fail "$name is no name of an old certificate" ;;
    esac
    case $keep in *" $name "*) fail "$name is in use or one of the two newest: nothing was removed" ;; esac
    [ -f "$file" ] && [ ! -L "$file" ] || fail "$name is no file"
    due="$due $name"
  done
  [ -n "$due" ] || finish nothing_to_do 'the files are gone'
  verify_bound
  for name in $due; do
    change "remove $KCR_PKI/$name"
    checking && continue
    bounded 10 rm -f "$KCR_PKI/$name" </dev/null || fail "$name cannot be removed"
    CHANGED=yes
  done
  checking || room || fail "there is still no room for a new certificate in $KCR_PKI: something else fills its file system"
  finish "done" 'the files were removed'
}
