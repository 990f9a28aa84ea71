# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions are resumed by tickets, across processes, rotations and machines; and only where they should be.

Each connection has a postern of its own, so whatever is resumed here is resumed by another process than the one that began
it. The summary line of the log, the client and the handler's environment must agree on it.
"""

import base64
import hmac
import os
import re
import socket
import subprocess
import time

import pytest

from harness import clients, processes, resume, tls

VERSIONS = ['1.2', '1.3']
both_versions = pytest.mark.parametrize('version', VERSIONS)


@pytest.fixture
def tickets(postern, tmp_path):
    return resume.new_key(postern, tmp_path / 'tickets')


@pytest.fixture
def client(pki, tmp_path):
    return resume.OpenSSL(pki.ca, tmp_path)


@pytest.fixture
def begin(serve, tickets):
    """begin(option...): a server with tickets whose handler tells whether the session was resumed."""
    def start(*options, file=tickets, start='immediate', **more):
        return serve(resume.handler(start), f'--tickets={file}', '-v', *resume.STARTS[start], *options, **more)
    return start


def resumed(server):
    """What the log says of each connection."""
    return [end.summary['resumed'] for end in server.rest()]


# Resumption by real clients

@both_versions
@pytest.mark.parametrize('name, start', [(name, start) for name in resume.CLIENTS for start in resume.STARTS])
def test_a_postern_resumes_the_session_of_another_one(serve, tickets, pki, tmp_path, name, start, version):
    server = serve(resume.handler(start), f'--tickets={tickets}', *resume.STARTS[start])
    assert resume.CLIENTS[name](server, pki.ca, version, start, tmp_path) == ['Initial', 'Resumed']
    assert resumed(server) == ['no', 'yes']


def test_curl_resumes_its_session(serve, tickets, pki):
    """In TLS 1.3 only: it does without tickets in 1.2."""
    server = serve(resume.HTTP, f'--tickets={tickets}')
    assert resume.curl(server, pki.ca) == ['Initial', 'Resumed']
    assert resumed(server) == ['no', 'yes']


@both_versions
@pytest.mark.parametrize('pair', ['rsa', 'ed25519'])
def test_with_each_kind_of_key(begin, client, pair, version):
    server = begin(pair=pair)
    client.begin(server, version)
    assert client.connect(server, version) == 'Resumed'


@both_versions
def test_as_an_ordinary_user(begin, client, version):
    server = begin(launcher=tls.Unprivileged)
    client.begin(server, version)
    assert client.connect(server, version) == 'Resumed'


@both_versions
def test_each_session_leads_to_the_next_one(begin, client, version):
    server = begin()
    client.begin(server, version)
    for _ in range(3):
        assert client.connect(server, version) == 'Resumed'
        if client.last.exists():
            client.session = client.last
    assert resumed(server) == ['no', 'yes', 'yes', 'yes']


@both_versions
def test_a_ticket_may_be_used_by_several_connections_at_once(begin, pki, version):
    server = begin()
    context = clients.context(pki.ca, version)
    with context.wrap_socket(server.connect(), server_hostname='localhost') as connection:
        connection.sendall(b'hello\n')
        with connection.makefile('rb') as file:
            file.read()
        session = connection.session
    held = [context.wrap_socket(server.connect(), server_hostname='localhost', session=session) for _ in range(4)]
    assert [connection.session_reused for connection in held] == [True] * 4
    for connection in held:
        connection.close()


def test_a_client_that_has_to_say_hello_twice_is_resumed_too(begin, client):
    """It offers no share of our group at first, and its ticket both times."""
    server = begin('--groups=P-384')
    client.begin(server, '1.3')
    assert client.connect(server, '1.3') == 'Resumed'


LABEL = b'EXPORTER-Channel-Binding'     # RFC 9266


def exported(client, version, log):
    """What the client's end has for a channel binding. In TLS 1.2 (RFC 5705) openssl can't be told of an empty context."""
    if version == '1.3':
        return bytes.fromhex(re.search(r'Keying material: ([0-9A-F]+)', client.printed)[1])
    random, master = map(bytes.fromhex, re.search(r'(?m)^CLIENT_RANDOM (\w+) (\w+)$', log.read_text()).groups())
    hello = bytes.fromhex(re.search(r'ServerHello\n((?:    [0-9a-f ]+\n)+)', client.printed)[1])
    seed = LABEL + random + hello[6:38] + bytes(2)
    return hmac.digest(master, hmac.digest(master, seed, 'sha256') + seed, 'sha256')


@both_versions
def test_a_resumed_session_has_its_own_channel_binding_and_both_ends_know_it(serve, tickets, client, version):
    server = serve(['/bin/sh', '-c', 'echo hello; read line; echo "told $SSL_SESSION_RESUMED $POSTERN_TLS_EXPORTER"'],
                   f'--tickets={tickets}')
    seen = set()
    for number, expected in enumerate(['Initial', 'Resumed', 'Resumed']):
        log = client.folder / f'keys.{number}'
        words = ['-keymatexport', LABEL, '-keymatexportlen', '32', '-keylogfile', log, '-msg']
        assert client.connect(server, version, *words) == expected
        client.session = client.session or client.last
        ours = base64.b64decode(re.search(r'told \w+ (\S+)', client.printed)[1])
        assert ours == exported(client, version, log)
        seen.add(ours)
    assert len(seen) == 3


@both_versions
def test_tickets_are_said_to_be_good_for_the_lifetime_asked_for(begin, pki, version):
    server = begin('--ticket-lifetime=1234')
    with clients.tls(server, pki.ca, version) as connection:
        connection.sendall(b'hello\n')
        with connection.makefile('rb') as file:
            file.read()
        assert connection.session.ticket_lifetime_hint == 1234


# Rotation, fleets, reboots

@both_versions
def test_rotation_loses_nobody_until_the_third_one(begin, client, postern, tickets, version):
    server = begin()
    client.begin(server, version)
    for expected in ('Resumed', 'Resumed', 'Initial'):
        resume.new_key(postern, tickets)
        assert client.connect(server, version) == expected
    client.session = None
    client.begin(server, version)
    assert client.connect(server, version) == 'Resumed'
    assert resumed(server) == ['no', 'yes', 'yes', 'no', 'no', 'yes']


def test_who_comes_back_between_rotations_is_never_lost_in_tls_1_3(begin, client, postern, tickets):
    """Each session has a ticket that is sealed with the newest key."""
    server = begin()
    client.begin(server, '1.3')
    for _ in range(5):
        resume.new_key(postern, tickets)
        assert client.connect(server, '1.3') == 'Resumed'
        client.session = client.last


@both_versions
def test_each_machine_with_the_same_file_resumes_the_sessions_of_the_others(begin, client, postern, tickets, pki, tmp_path,
                                                                            version):
    """Two copies of postern with copies of the files, each in a folder of its own."""
    machines = []
    for name in ('one', 'two'):
        program, file, cert, key = resume.copies(tmp_path / name, postern, tickets, pki.ecdsa.cert, pki.ecdsa.key)
        machines.append(begin(file=file, pair=type(pki.ecdsa)(cert, key, pki.ca)))
        machines[-1].command[0] = str(program)
    for here, there in (machines, machines[::-1]):
        client.begin(here, version)
        assert client.connect(there, version) == 'Resumed'
    assert [resumed(machine) for machine in machines] == [['no', 'yes'], ['yes', 'no']]


@both_versions
def test_a_session_outlives_a_reboot_of_the_machine(begin, client, tickets, version):
    """All that outlives it is the file."""
    with begin() as before:
        client.begin(before, version)
        before.wait()
    assert processes.left_behind() == []
    os.rename(tickets, moved := tickets.with_name('restored'))
    assert client.connect(begin(file=moved), version) == 'Resumed'


@both_versions
def test_a_machine_without_the_key_only_makes_a_full_handshake(begin, client, postern, tmp_path, version):
    other = begin(file=resume.new_key(postern, tmp_path / 'other'))
    client.begin(begin(), version)
    assert client.connect(other, version) == 'Initial'


# What a ticket is good for

REFUSED = 'the client\'s session ticket is not used: sealed for another name, version or service, or damaged'
EXPIRED = 'the client\'s session ticket is not used: older than --ticket-lifetime, or from the future'

# What begins the session, and what is different when it comes back; `start` and `options` are the server's.
OTHERS = {
    'name': ({}, {'name': 'mail.example.org'}),
    'client that asks for no name': ({}, {'name': None}),
    'client that asks for a name': ({'name': None}, {}),
    'protocol': ({'start': 'imap'}, {'start': 'smtp'}),
    'way to start': ({'start': 'imap'}, {}),
    'list of ciphers': ({}, {'options': ['--ciphers=TLS13-CHACHA20-POLY1305-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305']}),
}


@both_versions
@pytest.mark.parametrize('what', OTHERS)
def test_a_ticket_is_not_accepted_for_another(begin, client, what, version):
    here, there = ({'start': 'immediate', 'options': [], 'name': 'localhost', **case} for case in OTHERS[what])
    servers = [begin(*case.pop('options'), start=case['start']) for case in (here, there)]
    client.begin(servers[0], version, **here)
    assert client.connect(servers[1], version, **there) == 'Initial'
    assert REFUSED in servers[1].wait().log
    assert client.connect(servers[0], version, **here) == 'Resumed'


SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE, DONE = 2, 11, 12, 14
FULL_1_2 = [SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE, DONE]
PRE_SHARED_KEY = 41


def answer(server, hello):
    """What comes for a hello made by hand: the plaintext records, as (type, bytes)."""
    with server.connect() as connection:
        connection.sendall(hello)
        data = connection.recv(tls.CHUNK)
        if data:
            connection.shutdown(socket.SHUT_WR)     # the rest of the answer is on its way
        data += tls.ended(connection)
    found = []
    while data and data[0] in (21, 22):
        length = int.from_bytes(data[3:5], 'big')
        found.append((data[0], data[5:5 + length]))
        data = data[5 + length:]
    return found


def hello_1_2(ticket):
    return tls.client_hello(suites=[0xcca9, tls.ECDHE_ECDSA_AES128_GCM],
                            more=tls.extension(23, b'') + tls.extension(35, ticket))


def hello_1_3(*identities):
    """Binders of zeros: whoever accepts an identity will find that they are wrong."""
    share = os.urandom(31) + b'\1'
    more = tls.extension(51, tls.vector(2, tls.numbers([tls.X25519]) + tls.vector(2, share)))
    more += tls.extension(45, tls.vector(1, b'\1'))
    offered = b''.join(tls.vector(2, identity) + bytes(4) for identity in identities)
    binders = b''.join(tls.vector(1, bytes(32)) for _ in identities)
    more += tls.extension(PRE_SHARED_KEY, tls.vector(2, offered) + tls.vector(2, binders))
    return tls.client_hello(suites=[0x1303], versions=[tls.TLS13], more=more)


def makes_full_handshake(version, records):
    if version == '1.2':
        return [body[0] for kind, body in records if kind == 22] == FULL_1_2
    # All behind it is encrypted.
    return [kind for kind, _ in records] == [22] and records[0][1][0] == SERVER_HELLO and \
        PRE_SHARED_KEY not in extensions(records[0][1])


def extensions(server_hello):
    """The types of the extensions in a ServerHello (RFC 8446 section 4.1.3)."""
    rest = server_hello[4 + 2 + 32:]
    rest = rest[1 + rest[0] + 3 + 2:]
    found = []
    while rest:
        found.append(int.from_bytes(rest[:2], 'big'))
        rest = rest[4 + int.from_bytes(rest[2:4], 'big'):]
    return found


HELLO = {'1.2': hello_1_2, '1.3': hello_1_3}


@both_versions
def test_a_ticket_is_not_accepted_in_another_version(begin, client, version):
    server = begin()
    other = {'1.2': '1.3', '1.3': '1.2'}[version]
    client.begin(server, version)
    server.wait()
    # In TLS 1.3 the client would have to know more, but the vault is content.
    assert not makes_full_handshake(version, answer(server, HELLO[version](client.ticket()))) or version == '1.3'
    assert REFUSED not in server.wait().log
    assert makes_full_handshake(other, answer(server, HELLO[other](client.ticket())))
    assert server.wait().log.count(REFUSED) == 1


@both_versions
@pytest.mark.parametrize('place, why', [(0, None), (16, REFUSED), (32, None), (34, REFUSED), (-32, REFUSED), (-1, None)],
                         ids=['name', 'nonce', 'length', 'text', 'tag', 'padding'])
def test_a_ticket_with_one_bit_changed_leads_to_a_full_handshake(begin, client, place, why, version):
    def change(ticket):
        changed = bytearray(ticket)
        changed[place] ^= 1
        return bytes(changed)
    server = begin()
    client.begin(server, version)
    server.wait()
    client.change(change)
    assert client.connect(server, version) == 'Initial'
    assert (REFUSED in server.wait().log) == bool(why)


@both_versions
@pytest.mark.parametrize('tickets_on', [True, False], ids=['tickets', 'no tickets'])
@pytest.mark.parametrize('size', [1, 100, 206, 207, 1500])
def test_a_client_that_comes_with_a_ticket_of_another_servers_is_served(begin, serve, size, tickets_on, version):
    """wolfSSL itself refuses a client with a ticket for TLS 1.2 that is longer than its own ones."""
    server = begin() if tickets_on else serve(['/bin/cat'])
    assert makes_full_handshake(version, answer(server, HELLO[version](os.urandom(size))))
    server.wait()


@pytest.mark.parametrize('tickets_on', [True, False], ids=['tickets', 'no tickets'])
def test_a_client_with_a_session_of_openssls_server_is_served(begin, serve, client, pki, tickets_on):
    """A long ticket: it has the client's certificate in it."""
    server = begin() if tickets_on else serve(resume.handler())
    pair = pki.ecdsa
    other = subprocess.Popen(['openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', pair.cert, '-key', pair.key,
                              '-verify', '1', '-CAfile', pki.ca, '-tls1_2', '-rev'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while not (line := other.stdout.readline()).startswith(b'ACCEPT'):
            assert line
        client.session = client.folder / 'session'
        subprocess.run(['openssl', 's_client', '-tls1_2', '-connect', line.split()[1], '-cert', pair.cert, '-key', pair.key,
                        '-sess_out', client.session], input=b'Q\n', check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=20)
    finally:
        processes.stop(other)
        other.stdout.close()
    assert len(client.ticket()) > 300
    assert client.connect(server, '1.2') == 'Initial'


def test_of_many_tickets_only_some_are_tried_and_the_client_is_served(begin, client, tickets):
    """In TLS 1.3 a client may offer as many as it likes; the gate asks the vault for two."""
    server = begin()
    client.begin(server, '1.3')
    server.wait()
    ticket = client.ticket()
    assert len(ticket) > 100
    damaged = [ticket[:-32] + os.urandom(16) + bytes(16) for _ in range(10)]
    assert makes_full_handshake('1.3', answer(server, hello_1_3(*damaged)))
    assert server.wait().log.count(REFUSED) == 2
    # Those of others don't count.
    foreign = [os.urandom(len(ticket)) for _ in range(10)]
    assert makes_full_handshake('1.3', answer(server, hello_1_3(*foreign, damaged[0])))
    assert server.wait().log.count(REFUSED) == 1


@pytest.fixture
def linked(postern, tmp_path):
    """Is the program one whose clock we can set?"""
    subprocess.run([postern, f'--new-ticket-key={tmp_path / "dated"}'], check=True,
                   env={**os.environ, **resume.clock(10 * 86400)})
    made = re.search(r'^(\S+)Z ', (tmp_path / 'dated').read_text(), re.MULTILINE)[1]
    if time.mktime(time.strptime(made, '%Y-%m-%dT%H:%M:%S')) < time.time() + 5 * 86400:
        pytest.skip('this program is linked so that its clock cannot be set')


def come_back(client, here, there, version, expected, age):
    """wolfSSL's arithmetic takes one old ticket of TLS 1.3 in some hundreds for one from another time: another try then."""
    for _ in range(3):
        client.begin(here, version)
        got = client.connect(there, version, environment=resume.clock(age))
        if got == expected:
            break
    return got


@pytest.mark.not_sanitized('faketime wants to be loaded first, and so does a sanitizer')
@both_versions
@pytest.mark.parametrize('later, expected', [(3600, 'Resumed'), (7190, 'Resumed'), (7210, 'Initial'), (-90, 'Initial')])
@pytest.mark.usefixtures('linked')
def test_a_ticket_is_good_for_two_hours(begin, client, later, expected, version):
    server = begin(environment=resume.clock(later))
    # The client's clock goes with it, as far as it still offers the ticket.
    assert come_back(client, begin(), server, version, expected, sorted([0, later, 7190])[1]) == expected
    assert (EXPIRED in server.log()) == (expected == 'Initial')


@pytest.mark.not_sanitized('faketime wants to be loaded first, and so does a sanitizer')
@both_versions
@pytest.mark.usefixtures('linked')
def test_ticket_lifetime_says_for_how_long_it_is_good(begin, client, version):
    here = begin('--ticket-lifetime=100000')
    for lifetime, expected in ((100000, 'Resumed'), (80000, 'Initial')):
        there = begin(f'--ticket-lifetime={lifetime}', environment=resume.clock(90000))
        assert come_back(client, here, there, version, expected, 90000) == expected
        assert (EXPIRED in there.log()) == (expected == 'Initial')


# Without tickets

@both_versions
def test_without_the_option_no_ticket_is_given(serve, client, version):
    server = serve(resume.handler())
    client.begin(server, version)
    assert client.ticket() is None
    client.session = client.last if client.last.exists() else None
    assert client.connect(server, version) == 'Initial'
    assert resumed(server) == ['no', 'no']


@both_versions
@pytest.mark.parametrize('mode', ['require', 'request'])
def test_where_clients_are_asked_for_certificates_nobody_is_resumed(begin, client, pki, mode, version):
    """A ticket would let somebody in whose certificate has been revoked since."""
    server = begin()
    client.begin(server, version)
    asking = begin(f'--client-ca={pki.ca}', f'--client-cert={mode}')
    own = pki.client('ann')
    words = ['-cert', own.cert, '-key', own.key]
    assert client.connect(asking, version, *words) == 'Initial'
    ticketless = client.last
    log = asking.wait().log
    assert f'--tickets={server.command[3].partition("=")[2]}: not used, since clients are asked for certificates' in log
    client.session = ticketless if ticketless.exists() else None
    assert client.session is None or client.ticket() is None
    assert client.connect(asking, version, *words) == 'Initial'


@pytest.fixture
def binds_protocol(postern):
    version = subprocess.run([postern, '--version'], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r'wolfSSL (\d+)\.(\d+)', version).groups())) >= (5, 9)


@both_versions
@pytest.mark.parametrize('start', ['immediate', 'imap'])
def test_the_protocol_is_agreed_on_anew_in_each_session(begin, client, binds_protocol, version, start):
    """RFC 7301 section 3.1. wolfSSL 5.9 resumes a session only for the protocol that it began with."""
    server = begin('--alpn=imap,x', start=start)
    for number, (words, agreed) in enumerate([(['-alpn', 'imap'], 'imap'), (['-alpn', 'imap'], 'imap'), (['-alpn', 'x'], 'x'),
                                              ([], None)]):
        resumed = number == 1 or (number > 1 and not binds_protocol)
        assert client.connect(server, version, *words, start=start) == ('Resumed' if resumed else 'Initial')
        client.session = client.session or client.last
        found = re.search('ALPN protocol: (.*)', client.printed)
        assert (found and found[1]) == agreed


BROKEN = {
    'missing': (None, 0o600, 'cannot be opened: No such file or directory'),
    'malformed': ('# keys\n2025-01-31T12:00:00Z 0123\n', 0o600, 'line 2: no ticket key: wants a date like'),
    'empty': ('', 0o600, 'no ticket key in it: `postern --new-ticket-key='),
    'for all to read': ('', 0o644, 'others may read or change it'),
}


@both_versions
@pytest.mark.parametrize('broken', BROKEN)
def test_a_file_that_cannot_be_used_costs_one_line_in_the_log_and_no_session(serve, client, tickets, broken, version):
    text, mode, why = BROKEN[broken]
    server = serve(resume.handler(), f'--tickets={tickets}')
    client.begin(server, version)
    server.wait()
    tickets.unlink()
    if text is not None:
        tickets.write_text(text, encoding='ascii')
        tickets.chmod(mode)
    assert client.connect(server, version) == 'Initial'
    log = server.wait().log
    lines = log.splitlines()
    assert [line for line in lines if str(tickets) in line and why in line] == lines[:1]
    assert len(lines) == 2, log
    client.session = None
    assert client.connect(server, version) == 'Initial'
    assert not client.last.exists() or version == '1.2'


# The command line

def run(postern, *words):
    done = subprocess.run([postern, *words], capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize('word', ['--new-ticket-key={}', '--new-ticket-key {}'])
def test_new_ticket_key_makes_a_file_and_says_nothing(postern, tmp_path, word):
    file = tmp_path / 'made'
    for count in (1, 2, 3, 3):
        assert run(postern, *word.format(file).split()) == (0, '')
        keys = re.findall(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [0-9a-f]{64}$', file.read_text(), re.MULTILINE)
        assert len(set(keys)) == count
        assert file.stat().st_mode & 0o7777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ['made']


@pytest.mark.parametrize('words, status, why', [
    (['--new-ticket-key=/no/such/folder/file'], os.EX_CONFIG, '/no/such/folder/file'),
    (['--new-ticket-key='], os.EX_USAGE, 'wants a file'),
    (['--new-ticket-key=/tmp/x', '/bin/cat'], os.EX_USAGE, 'takes one file, and no handler'),
    (['--ticket-lifetime=0', '/bin/cat'], os.EX_USAGE, 'wants a number of seconds from 1 to 604800'),
    (['--ticket-lifetime=604801', '/bin/cat'], os.EX_USAGE, 'wants a number of seconds from 1 to 604800'),
])
def test_what_is_wrong_is_one_line(postern, words, status, why):
    ended, said = run(postern, *words)
    assert ended == status and why in said and said.count('\n') == 1, said


def test_the_configuration_file_can_name_the_tickets_but_makes_no_key(postern, pki, tickets, tmp_path):
    config = tmp_path / 'config'
    config.write_text(f'tickets = {tickets}\nticket-lifetime = 3600\n', encoding='ascii')
    ended, report = run(postern, '--check', f'--config={config}', *pki.ecdsa.options(), '/bin/cat')
    assert ended == 0 and re.search(
        rf'^ok    {tickets}: 1 ticket key, not readable by others, the newest of [0-9-]+; tickets are good for 3600 seconds$',
        report, re.MULTILINE) and 'no session tickets' not in report
    config.write_text(f'new-ticket-key = {tickets}\n', encoding='ascii')
    ended, said = run(postern, f'--config={config}', *pki.ecdsa.options(), '/bin/cat')
    assert ended == os.EX_CONFIG and 'new-ticket-key: no such option' in said


@pytest.mark.parametrize('broken', BROKEN)
def test_check_fails_for_a_file_that_cannot_be_used(postern, pki, tickets, broken):
    text, mode, why = BROKEN[broken]
    tickets.unlink()
    if text is not None:
        tickets.write_text(text, encoding='ascii')
        tickets.chmod(mode)
    ended, report = run(postern, '--check', f'--tickets={tickets}', *pki.ecdsa.options(), '/bin/cat')
    assert ended == os.EX_CONFIG and f'{tickets}: ' in report and why in report


@pytest.mark.parametrize('days, warned', [(13, False), (16, True)])
def test_check_warns_of_keys_that_nobody_renews(postern, pki, tickets, days, warned):
    made = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() - days * 86400))
    tickets.write_text(f'{made} {"0f" * 32}\n', encoding='ascii')
    ended, report = run(postern, '--check', f'--tickets={tickets}', *pki.ecdsa.options(), '/bin/cat')
    assert ended == 0 and (f'warn  {tickets}: its newest key is {days} days old' in report) == warned


def test_version_tells_whether_the_library_has_tickets(postern):
    assert ' tickets' in run(postern, '--version')[1]
