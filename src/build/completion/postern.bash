# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of postern's command line in bash 4 or newer. It needs no other script; with bash-completion the handler's
# own arguments are completed, too.

# Options that take a value, and which: FILE, DIR, USER, one of these words, or a dash for what can't be guessed.
# A comma or a colon at the end means a list with that between.
declare -gA _postern_values=(
    [--cert]=FILE [-c]=FILE
    [--key]=FILE [-k]=FILE
    [--cert-dir]=DIR
    [--sni]='default strict'
    [--key-pass-file]=FILE
    [--ocsp]=FILE
    [--alpn]='off imap pop3 smtp lmtp managesieve nntp ,'
    [--starttls]='imap pop3 smtp lmtp sieve nntp' [-s]='imap pop3 smtp lmtp sieve nntp'
    [--policy]='required auth optional' [-p]='required auth optional'
    [--name]=-
    [--trusted]='local ,'
    [--proxy-trusted]='local unix ,'
    [--proxy-out]='off v1 v2'
    [--handler-user]=USER [-u]=USER
    [--gate-user]=USER
    [--chroot]=DIR
    [--jail]='on strict off'
    [--stdio]='pipe socket'
    [--tls-min]='1.0 1.1 1.2 1.3'
    [--ciphers]=-
    [--groups]='X25519MLKEM768 X25519 P-256 P-384 :'
    [--client-ca]=FILE
    [--client-cert]='request require'
    [--crl]=FILE
    [--client-name]='cn email san'
    [--tickets]=FILE
    [--ticket-lifetime]=-
    [--new-ticket-key]=FILE
    [--timeout-lobby]=- [--timeout-handshake]=- [--timeout-idle]=- [--timeout-session]=- [--timeout-grace]=-
    [--max-connections]=- [--max-per-client]=- [--exit-idle]=-
    [--config]=FILE [-f]=FILE
    [--log]='stderr syslog journal json'
)
_postern_flags='--proxy-protocol --ucspi-tls --check --verbose -v --quiet -q --help -h --version -V'

# _postern_value OPTION BEGINNING PREFIX: what may stand for the value, or for its last part, into COMPREPLY.
_postern_value() {
    local kind=${_postern_values[$1]} begin=$2 prefix=$3 how
    [[ $1 != --check ]] || kind=json # behind = only
    if [[ $kind == *, && $begin == *,* ]]; then
        prefix+=${begin%,*},
        begin=${begin##*,}
    fi
    case $kind in
        FILE) how=(-f) ;;
        DIR) how=(-d) ;;
        USER) how=(-u) ;;
        *) how=(-W "${kind%[-,:]}") ;;
    esac
    [[ $kind != FILE && $kind != DIR ]] || compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "${how[@]}" -P "$prefix" -- "$begin")
}

# _postern_handler AT CURRENT: the handler is word AT of the command line.
_postern_handler() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen "$([[ $1 == "$COMP_CWORD" ]] && echo -c || echo -f)" -- "$2")
    fi
}

_postern() {
    local current=${COMP_WORDS[COMP_CWORD]} at=1 option= word
    COMPREPLY=()
    # Readline has broken words at = and :, so --groups=X25519:P-256 is five.
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at++]}
        option=
        if [[ $word == -- ]]; then
            _postern_handler "$at" "$current"
            return
        elif [[ $word != -* ]]; then
            _postern_handler "$((at - 1))" "$current"
            return
        fi
        if [[ -n ${_postern_values[$word]} && ${COMP_WORDS[at]} != = ]]; then
            option=$word
            ((at++))
        fi
        while [[ ${COMP_WORDS[at]} == [=:]* ]]; do
            option=$word
            ((at += 2))
        done
    done
    [[ $current != [=:]* ]] || current=
    if ((at > COMP_CWORD)); then
        _postern_value "$option" "$current"
    elif [[ $current == --*=* ]]; then # where COMP_WORDBREAKS has no =
        _postern_value "${current%%=*}" "${current#*=}" "${current%%=*}="
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(printf '%s\n' "${!_postern_values[@]}" | sed 's/^--.*/&=/')
        mapfile -t COMPREPLY < <(compgen -W "${COMPREPLY[*]} $_postern_flags" -- "$current")
        [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
    else
        _postern_handler "$at" "$current"
    fi
}

complete -F _postern postern
