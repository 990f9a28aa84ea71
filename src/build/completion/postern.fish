# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of postern's command line in fish.

# Options with a value in a word of its own, for finding the handler behind them.
set -g __postern_valued --cert -c --key -k --cert-dir --sni --key-pass-file --ocsp --alpn --starttls -s --policy -p \
    --name --trusted --proxy-trusted --proxy-out --handler-user -u --gate-user --chroot --jail --stdio --tls-min --ciphers \
    --groups --client-ca --client-cert --crl --client-name --tickets --ticket-lifetime --new-ticket-key \
    --timeout-lobby --timeout-handshake --timeout-idle --timeout-session --timeout-grace --max-connections \
    --max-per-client --exit-idle --config -f --log

# The handler's command line, up to the cursor. Fails where the cursor is among postern's own options.
function __postern_handler
    set -l words (commandline -opc)[2..-1]
    set -l current (commandline -ct)
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                break
            case -
                break
            case '-*'
                if contains -- $words[1] $__postern_valued
                    set -e words[1]
                end
                set -e words[1]
            case '*'
                break
        end
    end
    if test (count $words) != 0; or contains -- -- (commandline -opc)
        string join -- ' ' (string escape -- $words) "$current"
    else
        return 1
    end
end

function __postern_option
    complete -c postern -n 'not __postern_handler >/dev/null' $argv
end

complete -c postern -f
complete -c postern -n '__postern_handler >/dev/null' -a '(complete --do-complete=(__postern_handler | string collect))'
__postern_option -a '(complete --do-complete=(commandline -ct))'

__postern_option -s c -l cert -rF -d 'Certificate chain in PEM, leaf first'
__postern_option -s k -l key -rF -d 'Its private key in PEM'
__postern_option -l cert-dir -x -a '(__fish_complete_directories)' -d 'Certificates by server name'
__postern_option -l sni -x -a 'default strict' -d 'What a name without certificate gets'
__postern_option -l key-pass-file -rF -d 'Its first line is the password of encrypted keys'
__postern_option -l ocsp -rF -d 'OCSP response in DER to staple to the certificate before it'
__postern_option -l alpn -x -a '(__fish_complete_list , "printf %s\\\\n off imap pop3 smtp lmtp managesieve nntp")' -d 'Protocol names for ALPN'
__postern_option -s s -l starttls -x -a 'imap pop3 smtp lmtp sieve nntp' -d 'STARTTLS in this dialect instead of immediate TLS'
__postern_option -s p -l policy -x -a 'required auth optional' -d 'What plaintext may do'
__postern_option -l name -x -a '(__fish_print_hostnames)' -d 'Name in greetings'
__postern_option -l trusted -x -a '(__fish_complete_list , "echo local")' -d 'Client networks that need no TLS'
__postern_option -l proxy-protocol -d 'A PROXY header comes first'
__postern_option -l proxy-trusted -x -a '(__fish_complete_list , "printf %s\\\\n local unix")' -d 'Who may send a PROXY header'
__postern_option -l proxy-out -x -a 'off v1 v2' -d 'Give the handler a PROXY header first'
__postern_option -l ucspi-tls -d 'The handler asks for TLS itself, over UCSPI-TLS'
__postern_option -s u -l handler-user -x -a '(__fish_complete_users)' -d 'Who the handler runs as'
__postern_option -l gate-user -x -a '(__fish_complete_users)' -d 'Who the gate runs as'
__postern_option -l chroot -x -a '(__fish_complete_directories)' -d 'Empty folder for the gate'
__postern_option -l jail -x -a 'on strict off' -d 'How the gate is jailed'
__postern_option -l stdio -x -a 'pipe socket' -d "The handler's stdin and stdout"
__postern_option -l tls-min -x -a '1.0 1.1 1.2 1.3' -d 'Lowest TLS version'
__postern_option -l ciphers -x -d 'Cipher suites as wolfSSL names them, colons between'
__postern_option -l groups -x -a '(__fish_complete_list : "printf %s\\\\n X25519MLKEM768 X25519 P-256 P-384")' -d 'Key exchange groups'
__postern_option -l client-ca -rF -d 'Ask clients for certificates that these CAs have signed'
__postern_option -l client-cert -x -a 'request require' -d 'Whether a client has to show one'
__postern_option -l crl -rF -d 'Revocation lists of the CAs in --client-ca'
__postern_option -l client-name -x -a 'cn email san' -d "Where the user's name is"
__postern_option -l tickets -rF -d 'Keys of session tickets, so that sessions can be resumed'
__postern_option -l ticket-lifetime -x -d 'For how many seconds a ticket is good'
__postern_option -l new-ticket-key -rF -d 'Put a new key first in this file, keep three, exit'
__postern_option -l timeout-lobby -x -d 'Seconds for the plaintext before STARTTLS'
__postern_option -l timeout-handshake -x -d 'Seconds for the TLS handshake'
__postern_option -l timeout-idle -x -d 'Seconds without a byte in either direction'
__postern_option -l timeout-session -x -d 'Seconds for the whole connection'
__postern_option -l timeout-grace -x -d 'Seconds for the handler after its client has left'
__postern_option -l max-connections -x -d 'Wait mode: of all clients together'
__postern_option -l max-per-client -x -d 'Wait mode: from one address'
__postern_option -l exit-idle -x -d 'Wait mode: exit after so many seconds without a client'
__postern_option -s f -l config -rF -d 'Lines "option = value" with these long names'
__postern_option -l check -d 'Check options, files and handler, print a report, exit'
__postern_option -l check -f -a json -d 'Check, print the report as JSON, exit'
__postern_option -l log -x -a 'stderr syslog journal json' -d 'Where the log goes'
__postern_option -s v -l verbose -d 'Log details'
__postern_option -s q -l quiet -d 'Log only what goes wrong'
__postern_option -s h -l help -d 'Print all options and exit'
__postern_option -s V -l version -d 'Print versions and features and exit'
