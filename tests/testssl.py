# SPDX-License-Identifier: GPL-2.0-or-later
"""testssl.sh, which knows of many more faults than we do, finds nothing to complain of.

Not a part of make check, since testssl.sh starts thousands of processes: see make testssl. What takes it longest, all
versions and all suites tried one by one, tests/test_hardening.py does in a second.
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

# BREACH and Ticketbleed, which are for HTTP only, testssl.sh leaves out by itself.
SECTIONS = ['--protocols', '--std', '--fs', '--server-defaults', '--vulnerable']
# What must be among the findings, or it has not looked: with a part of what is said there.
EXPECTED = {
    'SSLv2': 'not offered', 'SSLv3': 'not offered', 'TLS1': 'not offered', 'TLS1_1': 'not offered',
    'TLS1_2': 'offered', 'TLS1_3': 'offered',
    'cipherlist_NULL': 'not offered', 'cipherlist_aNULL': 'not offered', 'cipherlist_EXPORT': 'not offered',
    'cipherlist_LOW': 'not offered', 'cipherlist_3DES_IDEA': 'not offered', 'cipherlist_AVERAGE': 'not offered',
    'cipherlist_STRONG': 'offered', 'PFS': 'offered',
    'heartbleed': 'not vulnerable', 'CCS': 'not vulnerable', 'ROBOT': 'not vulnerable', 'secure_renego': 'supported',
    'secure_client_renego': 'not vulnerable', 'CRIME_TLS': 'not vulnerable', 'POODLE_SSL': 'not vulnerable',
    'SWEET32': 'not vulnerable', 'FREAK': 'not vulnerable', 'DROWN': 'not vulnerable', 'LOGJAM': 'not vulnerable',
    'BEAST': 'not vulnerable', 'LUCKY13': 'not vulnerable', 'RC4': 'not vulnerable',
}


@pytest.mark.parametrize('start', ['immediate', 'imap'])
def test_testssl_finds_nothing_to_complain_of(serve, pki, tmp_path, start):
    assert shutil.which('testssl'), 'testssl is missing: run tests/packages ci'
    starttls = [] if start == 'immediate' else [f'--starttls={start}']
    # It wants certificates to be good for two months, but not for ever.
    pairs = [pki.leaf(f'half-a-year-{kind}', kind, days=200) for kind in ('ecdsa', 'rsa')]
    server = serve(['/bin/echo', '* OK ready'], *(word for pair in pairs for word in pair.options()), *starttls, pair=None)
    found = tmp_path / 'found.json'
    run = subprocess.run(['testssl', '--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', server.host,
                          '--add-ca', pki.ca, *starttls, *SECTIONS, '--jsonfile', found, f'{server.host}:{server.port}'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                         env={**os.environ, 'TMPDIR': str(tmp_path)})
    findings = json.loads(found.read_text(encoding='utf-8'))
    said = {finding['id']: finding['finding'] for finding in findings}
    assert {name: said.get(name) for name, words in EXPECTED.items() if words not in said.get(name, '')} == {}, run.stdout
    bad = [finding for finding in findings if finding['severity'] in SERIOUS
           and finding['id'].split()[0] not in EXCUSED]
    assert not bad, run.stdout
