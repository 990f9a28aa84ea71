# SPDX-License-Identifier: GPL-2.0-or-later
"""No test waits for ever, and what was running when it was ended is in its message."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

ENDLESS = '''
import subprocess
import pytest

@pytest.fixture
def slow():
    process = subprocess.Popen(['sleep', '4321'])
    try:
        {before}
        yield
        {after}
    finally:
        process.kill()
        process.wait()

def test_it(slow):
    {during}
'''


@pytest.mark.parametrize('where, workers', [('before', []), ('during', []), ('after', []), ('during', ['-n', '1'])],
                         ids=['before', 'during', 'after', 'by a worker'])
def test_a_test_without_end_is_ended_and_says_what_was_running(tmp_path, where, workers):
    places = dict.fromkeys(('before', 'during', 'after'), 'pass')
    places[where] = 'subprocess.run(["sh", "-c", "sleep 1234; :"])'
    (tmp_path / 'test_endless.py').write_text(ENDLESS.format(**places), encoding='ascii')
    command = [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '-p', 'conftest', f'--basetemp={tmp_path}/t',
               *workers, tmp_path / 'test_endless.py']
    environment = {name: value for name, value in os.environ.items() if not name.startswith('PYTEST')}
    run = subprocess.run(command, env={**environment, 'PYTHONPATH': str(TESTS), 'PYTEST_TIMEOUT': '1'}, capture_output=True,
                         text=True, cwd=tmp_path, check=False)
    assert run.returncode == 1, run.stdout
    assert 'not done after 1 seconds' in run.stdout
    assert ' sleep: sleep 4321>' in run.stdout
    assert ' sleep: sleep 1234>' in run.stdout
