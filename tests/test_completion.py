# SPDX-License-Identifier: GPL-2.0-or-later
"""What bash, zsh and fish offer on postern's command line: run as the shells run it, against what --help says."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.not_sanitized('has nothing to do with it')

COMPLETION = Path(__file__).resolve().parent.parent / 'src/build/completion'
TIMEOUT = 60

# What may stand for a value is by name, or else follows from what --help calls it.
WORDS = {
    '--sni': 'default strict',
    '--alpn': 'off imap pop3 smtp lmtp managesieve nntp',
    '--starttls': 'imap pop3 smtp lmtp sieve nntp',
    '--policy': 'required auth optional',
    '--trusted': 'local',
    '--proxy-trusted': 'local unix',
    '--proxy-out': 'off v1 v2',
    '--jail': 'on strict off',
    '--stdio': 'pipe socket',
    '--tls-min': '1.0 1.1 1.2 1.3',
    '--groups': 'X25519MLKEM768 X25519 P-256 P-384',
    '--client-cert': 'request require',
    '--client-name': 'cn email san',
    '--log': 'stderr syslog journal json',
}
# What is typed → what is offered; there are a file cert.pem, a folder certs, and a program some-imapd.
BY_ARGUMENT = {
    'FILE': ('ce', {'cert.pem', 'certs'}),
    'DIR': ('ce', {'certs'}),
    'USER[:GROUP]': ('roo', {'root'}),
    'SECONDS': ('', set()),
    'NUMBER': ('', set()),
}
UNKNOWN = {'--name', '--ciphers'}
CASES = {
    'postern --starttls=s': {'smtp', 'sieve'},
    'postern -simap -p ': {'required', 'auth', 'optional'},
    'postern --check=': {'json'},
    'postern --check --ja': {'--jail'},
    'postern --proxy-trusted=local,u': {'unix'},
    'postern --groups=X25519:P': {'P-256', 'P-384'},
    'postern some-im': {'some-imapd'},
    'postern -- some-im': {'some-imapd'},
    'postern --check some-im': {'some-imapd'},
    'postern -c cert.pem --key=key.pem some-im': {'some-imapd'},
    'postern --trusted=2001:db8::/32,local --groups X25519:P-256 some-im': {'some-imapd'},
    'postern some-imapd ce': {'cert.pem', 'certs'},
    'postern some-imapd --st': set(),
    'postern -c cert.pem -- some-imapd --st': set(),
    'postern --starttls=imap some-imapd --starttls=x': set(),
    'postern --no-such=': set(),
    'postern --x$(touch${IFS}ran) --y`touch${IFS}ran` --cert=$(touch${IFS}ran) $(touch${IFS}ran': set(),
}

BASH = r'''
. "$COMPLETION/postern.bash"
while IFS= read -r line; do
    IFS=$'\t' read -r -a COMP_WORDS <<<"$line"
    [[ $line != *$'\t' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    _postern
    wait
    printf '%s\n' === "${COMPREPLY[@]}"
done
'''
# Not all of zsh's completions are looked through, which would take seconds; functions that ours call are found anyway.
ZSH = r'''
all=($fpath)
fpath=($COMPLETION ${(M)fpath:#*/Completion(|/Base|/Zsh)})
autoload -Uz compinit && compinit -u -D
fpath=($COMPLETION $all)
autoload -Uz $^all/_*(N.:t)
setopt no_auto_list no_beep
compadd() {
    local -a found
    if (( $@[(I)-[OAD]*] )); then builtin compadd "$@"; return; fi
    builtin compadd -A found "$@"
    print -rl -- $found >>out
    builtin compadd "$@"
}
zle-line-init() {
    local line
    {
        for line in ${(f)"$(<lines)"}; do
            print -r -- '===' >>out
            BUFFER=$line CURSOR=$#line
            zle complete-word
        done
    } always {
        exit 0
    }
}
zle -N zle-line-init
'''
FISH = r'''
source $COMPLETION/postern.fish
while read -l line
    echo ===
    complete -C $line
end
'''


@pytest.fixture(name='environment')
def folder_with_a_file_a_folder_and_a_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'cert.pem').touch()
    (tmp_path / 'certs').mkdir()
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/some-imapd').symlink_to('/bin/true')
    return {'PATH': f'{tmp_path}/bin:/usr/bin:/bin', 'HOME': str(tmp_path), 'ZDOTDIR': str(tmp_path), 'TERM': 'dumb',
            'COMPLETION': str(COMPLETION)}


def in_bash(lines, environment):
    """Readline breaks words at = and :, too."""
    typed = ['\t'.join(re.findall(r'[=:]+|[^=:\s]+|(?<=\s)$', line)) for line in lines]
    return subprocess.run(['bash', '-c', BASH], input='\n'.join(typed) + '\n', env=environment, text=True, timeout=TIMEOUT,
                          stdout=subprocess.PIPE, check=True).stdout


def in_fish(lines, environment):
    return subprocess.run(['fish', '--private', '-c', FISH], input='\n'.join(lines) + '\n', env=environment, text=True,
                          timeout=TIMEOUT, stdout=subprocess.PIPE, check=True).stdout


def in_zsh(lines, environment):
    """Only its line editor can complete, and that wants a terminal."""
    Path('.zshrc').write_text(ZSH, encoding='ascii')
    Path('lines').write_text('\n'.join(lines) + '\n', encoding='ascii')
    terminal, its_end = pty.openpty()
    with subprocess.Popen(['zsh', '-i'], stdin=its_end, stdout=its_end, stderr=its_end, env=environment,
                          start_new_session=True) as shell:
        os.close(its_end)
        shown = b''
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
        except OSError:    # the end of a terminal
            pass
        os.close(terminal)
        assert shell.wait(TIMEOUT) == 0, shown
    return Path('out').read_text(encoding='ascii')


def offered(answer):
    """The words, or of words their last part; without the folder's slash, the option's equals sign, and explanations."""
    words = (line.split('\t')[0].rstrip('/=') for line in answer.splitlines())
    return {re.split('[=,:]', word)[-1] for word in words} - {'', '-', '--'}


@pytest.fixture(name='options')
def what_help_says(postern):
    """Long name → letter or '', what its value is called or '', what is said of it."""
    usage = subprocess.run([postern, '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    usage = re.sub(r'\n {20,}', ' ', usage)
    rows = re.findall(r'^  (-\w|  )(?:, |  )(--[a-z-]+)=?(\S*) +(.*)$', usage, re.MULTILINE)
    assert len(rows) > 40
    return {name: (letter.strip(), argument, help) for letter, name, argument, help in rows}


def value_cases(options):
    for name, (letter, argument, _) in options.items():
        if argument in ('', '[json]') or name in UNKNOWN:
            continue
        begin, values = ('', set(WORDS[name].split())) if name in WORDS else BY_ARGUMENT[argument]
        for option in [f'{name}=', f'{name} '] + ([f'{letter} '] if letter else []):
            yield f'postern {option}{begin}', values


@pytest.mark.parametrize('shell', [in_bash, in_zsh, in_fish])
def test_the_shell_offers_all_options_and_no_other_their_values_files_and_handlers(shell, options, environment):
    cases = {'postern -': {*options} | {letter for letter, _, _ in options.values() if letter}}
    cases.update(value_cases(options))
    cases.update(CASES)
    answers = re.split(r'^===\n', shell([*cases], environment), flags=re.MULTILINE)[1:]
    assert dict(zip(cases, map(offered, answers))) == cases
    assert not Path('ran').exists()


def test_the_words_that_are_offered_are_those_of_help(options):
    """All of them where it has to be one of them; of what goes into a list one at least."""
    for name, words in WORDS.items():
        unsaid = set(words.split()) - set(re.findall(r'[\w.-]+', options[name][2]))
        assert not unsaid or options[name][1].endswith(',...') and len(unsaid) < len(words.split()), (name, unsaid)
