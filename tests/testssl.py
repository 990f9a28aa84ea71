# SPDX-License-Identifier: GPL-2.0-or-later
"""testssl.sh, which knows of many more faults than we do, finds nothing to complain of.

Not a part of make check, since testssl.sh starts thousands of processes: see make testssl. tests/test_hardening.py tries
all versions and all suites by itself, in a second.
"""

import json
import os
import shutil
import subprocess

import pytest

# Findings that are no fault of ours.
EXCUSED = {
    'cert_revocation': 'a throw-away certificate tells of no place where its revocation could be looked up',
    'engine_problem': "openssl's own engine for GOST is not there",
}
SERIOUS = ['WARN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL']

# What must be among the findings, or it has not looked; with what has to stand there. Suites are listed first, and the
# attacks on outworn ones (BEAST, DROWN, FREAK, LOGJAM, LUCKY13, RC4, SWEET32) need none of their own: nothing that they
# attack is on the list. BREACH and Ticketbleed are for HTTP.
BOTH = {
    'SSLv2': 'not offered', 'SSLv3': 'not offered', 'TLS1': 'not offered', 'TLS1_1': 'not offered',
    'TLS1_2': 'offered', 'TLS1_3': 'offered',
    'cipherlist_NULL': 'not offered', 'cipherlist_aNULL': 'not offered', 'cipherlist_EXPORT': 'not offered',
    'cipherlist_LOW': 'not offered', 'cipherlist_3DES_IDEA': 'not offered', 'cipherlist_AVERAGE': 'not offered',
    'cipherlist_STRONG': 'offered',
    'heartbleed': 'not vulnerable', 'CCS': 'not vulnerable',
    'secure_renego': 'supported', 'secure_client_renego': 'not vulnerable',
}
SECTIONS = ['--protocols', '--std', '--heartbleed', '--ccs-injection', '--renegotiation']
# After STARTTLS it is the same TLS: once is enough for what takes long.
IMMEDIATE = {**BOTH, 'PFS': 'offered', 'ROBOT': 'not vulnerable', 'CRIME_TLS': 'not vulnerable', 'sessionresumption_ticket': 'not supported'}
MORE_SECTIONS = ['--fs', '--server-defaults', '--robot', '--crime']


@pytest.mark.parametrize('starttls, sections, expected', [
    ([], [*SECTIONS, *MORE_SECTIONS], IMMEDIATE),
    (['--starttls=imap'], SECTIONS, BOTH),
], ids=['immediate TLS', 'STARTTLS'])
def test_testssl_finds_nothing_to_complain_of(serve, pki, tmp_path, starttls, sections, expected):
    assert shutil.which('testssl'), 'testssl is missing: run tests/packages ci'
    # It wants certificates to be good for two months, but not for ever.
    pairs = [pki.leaf(f'half-a-year-{kind}', kind, days=200) for kind in ('ecdsa', 'rsa')]
    server = serve(['/bin/echo', '* OK ready'], *(word for pair in pairs for word in pair.options()), *starttls, pair=None)
    found = tmp_path / 'found.json'
    run = subprocess.run(['testssl', '--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', server.host,
                          '--add-ca', pki.ca, *starttls, *sections, '--jsonfile', found, f'{server.host}:{server.port}'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                         env={**os.environ, 'TMPDIR': str(tmp_path)})
    findings = json.loads(found.read_text(encoding='utf-8'))
    said = {finding['id']: finding['finding'] for finding in findings}
    assert {name: said.get(name) for name, words in expected.items() if words not in said.get(name, '')} == {}, run.stdout
    bad = [finding for finding in findings if finding['severity'] in SERIOUS
           and finding['id'].split()[0] not in EXCUSED]
    assert not bad, run.stdout
