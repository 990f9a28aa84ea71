# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client may do in plaintext, what it is told it may do, and what becomes of the handler's greeting."""

import pytest

from harness import lobby, processes
from harness.lobby import DIALECTS, IMAP, LMTP, NNTP, POP3, SIEVE, SMTP, Client, From, Recorder
from harness.pki import Pair

dialects = pytest.mark.parametrize('dialect', DIALECTS, ids=repr)
policies = pytest.mark.parametrize('policy', ['auth', 'optional'])


@pytest.fixture
def enter(serve, tmp_path):
    """enter(dialect, option...) starts a server with a handler that keeps a record, or with the one in `handler`.

    What else is given by name, in small letters or as a verb, goes to the handler: see lobby.HANDLER.
    """
    def start(dialect, *options, handler=None, service=None, **more):
        recorder = Recorder(tmp_path / 'records', dialect.service, **service or {})
        server = serve(handler or recorder.command, dialect.option, f'--name={lobby.HOST}', *options, **more)
        server.recorder = recorder
        return server
    return start


def lines(text):
    """A text whose lines are written one after the other, bars between."""
    return b''.join(line.encode() + b'\r\n' for line in text.split('|'))


def is_in_tls(inside, dialect):
    """The new handler, and nobody else, answers now."""
    if dialect is SIEVE:
        inside.up_to(lobby.WELCOME)
    inside.send(dialect.noop)
    inside.hears(dialect.answer(dialect.noop))


# Lists of capabilities are edited

MECHANISMS = 'PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256'
FINE = 'CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256'


def imap(words):
    return ' '.join('AUTH=' + word for word in words.split())


# One row a dialect and policy: the client's command, what the handler answers, what the client gets. The others are in
# tests/unit/dialect.c.
EDITED = {
    (IMAP, 'auth'): (
        'b CAPABILITY', f'* CAPABILITY IMAP4rev1 STARTTLS {imap(MECHANISMS)} SASL-IR IDLE|TAG OK done',
        f'* CAPABILITY IMAP4rev1 {imap(FINE)} SASL-IR IDLE STARTTLS LOGINDISABLED|b OK done'),
    (IMAP, 'optional'): (
        'b CAPABILITY', f'* CAPABILITY IMAP4rev1 STARTTLS {imap(MECHANISMS)} SASL-IR IDLE|TAG OK done',
        f'* CAPABILITY IMAP4rev1 {imap(MECHANISMS)} SASL-IR IDLE STARTTLS|b OK done'),
    (POP3, 'auth'): (
        'CAPA', f'+OK list|TOP|STLS|USER|SASL {MECHANISMS}|UIDL|IMPLEMENTATION x|.',
        f'+OK list|TOP|SASL {FINE}|UIDL|IMPLEMENTATION x|STLS|.'),
    (POP3, 'optional'): (
        'CAPA', f'+OK list|TOP|STLS|USER|SASL {MECHANISMS}|UIDL|.', f'+OK list|TOP|USER|SASL {MECHANISMS}|UIDL|STLS|.'),
    (SMTP, 'auth'): (
        'EHLO x', f'250-handler|250-STARTTLS|250-AUTH {MECHANISMS}|250-AUTH=PLAIN LOGIN|250-SIZE 1000|250 HELP',
        f'250-handler|250-AUTH {FINE}|250-SIZE 1000|250-HELP|250 STARTTLS'),
    (SMTP, 'optional'): (
        'EHLO x', f'250-handler|250-STARTTLS|250-AUTH {MECHANISMS}|250-AUTH=PLAIN|250 HELP',
        f'250-handler|250-AUTH {MECHANISMS}|250-AUTH=PLAIN|250-HELP|250 STARTTLS'),
    (LMTP, 'auth'): (
        'LHLO x', f'250-handler|250-STARTTLS|250-AUTH {MECHANISMS}|250 PIPELINING',
        f'250-handler|250-AUTH {FINE}|250-PIPELINING|250 STARTTLS'),
    (LMTP, 'optional'): (
        'LHLO x', f'250-handler|250-STARTTLS|250-AUTH {MECHANISMS}|250 PIPELINING',
        f'250-handler|250-AUTH {MECHANISMS}|250-PIPELINING|250 STARTTLS'),
    (SIEVE, 'auth'): (
        'CAPABILITY', f'"IMPLEMENTATION" "x"|"SASL" "{MECHANISMS}"|"STARTTLS"|"SIEVE" "reject"|OK',
        f'"IMPLEMENTATION" "x"|"SASL" "{FINE}"|"SIEVE" "reject"|"STARTTLS"|OK'),
    (SIEVE, 'optional'): (
        'CAPABILITY', f'"IMPLEMENTATION" "x"|"SASL" "{MECHANISMS}"|"STARTTLS"|OK "done"',
        f'"IMPLEMENTATION" "x"|"SASL" "{MECHANISMS}"|"STARTTLS"|OK "done"'),
    (NNTP, 'auth'): (
        'CAPABILITIES', f'101 list|VERSION 2|STARTTLS|AUTHINFO USER SASL|SASL {MECHANISMS}|READER|.',
        f'101 list|VERSION 2|AUTHINFO SASL|SASL {FINE}|READER|STARTTLS|.'),
    (NNTP, 'optional'): (
        'CAPABILITIES', f'101 list|VERSION 2|STARTTLS|AUTHINFO USER SASL|SASL {MECHANISMS}|.',
        f'101 list|VERSION 2|AUTHINFO USER SASL|SASL {MECHANISMS}|STARTTLS|.'),
}


@pytest.mark.parametrize('dialect, policy', EDITED)
def test_client_gets_the_handlers_capabilities_edited(enter, dialect, policy):
    command, handler, client = EDITED[dialect, policy]
    verb = command.upper().split()[dialect is IMAP]
    server = enter(dialect, f'--policy={policy}', service={verb: lines(handler)})
    with Client(server) as the_client:
        the_client.up_to(lobby.WELCOME)
        the_client.send(command)
        the_client.hears(lines(client))
        assert the_client.is_silent(0.01)
        the_client.ask(dialect.noop, '.+')
    assert server.wait().status == 0


# Without a usable certificate

@dialects
@pytest.mark.parametrize('policy', ['required', 'auth', 'optional'])
def test_starttls_is_neither_offered_nor_done_when_the_key_is_not_the_certificates(enter, pki, dialect, policy):
    service = {verb: answer.replace(b'AUTH', b'STARTTLS AUTH') for verb, answer in dialect.service.items()
               if dialect is IMAP and verb in ('greeting', 'CAPABILITY')}
    pair = Pair(pki.ecdsa.cert, pki.leaf('other').key, pki.ca)
    server = enter(dialect, f'--policy={policy}', pair=pair, service=service)
    with Client(server) as client:
        said = client.up_to(lobby.WELCOME)
        client.send(dialect.capability)
        said += client.up_to(r'(b OK|OK|250 |\.).*')
        assert 'STARTTLS' not in ' '.join(said) and 'STLS' not in said
        client.ask(dialect.starttls, dialect.no_tls)
        client.ask(dialect.noop, dialect.done)
        client.ask(dialect.quit, dialect.bye)
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 0
    assert 'key does not match' in end.log
    assert 'STARTTLS refused: certificate or key cannot be used' in end.log


# Logins

@dialects
def test_login_with_a_password_is_refused_under_auth_in_the_protocols_words_and_logged_without_it(
        enter, pki, dialect):
    server = enter(dialect, '--policy=auth', '--verbose')
    with Client(server, dialect.auth_hello) as client:
        for line, _ in dialect.logins:
            client.ask(line, dialect.no_password)
        client.ask(dialect.noop, dialect.done)
        is_in_tls(client.start_tls(dialect, pki.ca), dialect)
    end = server.wait()
    for _, verb in dialect.logins:
        assert f'{verb} before TLS refused by --policy=auth; if a password was sent with it, it was sent in plaintext' \
            in end.log
    lobby.has_no_secret(end.log)
    lobby.has_no_secret(server.recorder.everything())
    assert server.recorder.run(inside=False).input == dialect.noop.encode() + b'\r\n'


# What might be taken for commands, if anybody still looked for some.
DATA = b'\r\n'.join([
    b'STARTTLS', b'a STARTTLS', b'STLS', b'EHLO x', b'a CAPABILITY', b'AUTH PLAIN ' + lobby.SECRET.encode(), b'QUIT',
    b'a LOGIN bob {7+}', b'.', b'..', b'.STARTTLS', b'BDAT 7', b'TAKETHIS x', b'\0\r\r\n\n\xff', b'x' * 5000, b''
]) * 200


def echoes(client):
    """After the lobby bytes go both ways as they are."""
    assert client.flood([DATA[:7], DATA[7:]]) == DATA


# How a login ends that the handler accepts: what it answers in turn, and what the client says in between.
CHALLENGED = {
    'IMAP CRAM-MD5': (IMAP, 'x AUTHENTICATE CRAM-MD5', '+ PDEyMz4=', 'Ym9iIGRlYWRiZWVm', 'TAG OK in'),
    'IMAP SCRAM-SHA-256 in small letters': (IMAP, 'x authenticate scram-sha-256', '+ ', 'biwsbj1ib2I=', 'TAG OK in'),
    'IMAP SCRAM-SHA-256 at once': (IMAP, 'x AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2I=', 'TAG OK in'),
    'IMAP DIGEST-MD5 in steps': (IMAP, 'x AUTHENTICATE DIGEST-MD5', '+ cmVhbG0=', 'dXNlcm5hbWU=', '+ cnNwYXV0aA==', '',
                                 'TAG OK in'),
    'POP3 APOP': (POP3, 'APOP bob c4c9334bac560ecc979e58001b3e22fb', '+OK in'),
    'POP3 CRAM-MD5': (POP3, 'AUTH CRAM-MD5', '+ PDEyMz4=', 'Ym9iIGRlYWRiZWVm', '+OK in'),
    'SMTP CRAM-MD5': (SMTP, 'AUTH CRAM-MD5', '334 PDEyMz4=', 'Ym9iIGRlYWRiZWVm', '235 2.7.0 in'),
    'SMTP SCRAM-SHA-1': (SMTP, 'auth scram-sha-1 biwsbj1ib2I=', '334 cj0x', 'Yz1iaXdz', '235 2.7.0 in'),
    'LMTP CRAM-MD5': (LMTP, 'AUTH CRAM-MD5', '334 PDEyMz4=', 'Ym9iIGRlYWRiZWVm', '235 2.7.0 in'),
    'ManageSieve SCRAM-SHA-256': (SIEVE, 'AUTHENTICATE "SCRAM-SHA-256" "biwsbj1ib2I="', '"cj0x"', '"Yz1iaXdz"',
                                  'OK (SASL "dj0x")'),
    'ManageSieve CRAM-MD5 with literals': (SIEVE, 'Authenticate "cram-md5"', '{8}|PDEyMz4=', '{16+}|Ym9iIGRlYWRiZWVm',
                                           'OK "in"'),
    'NNTP CRAM-MD5': (NNTP, 'AUTHINFO SASL CRAM-MD5', '383 PDEyMz4=', 'Ym9iIGRlYWRiZWVm', '281 in'),
}


def play(client, turns, tag):
    """Client and handler in turn: what one says the other gets."""
    for number, text in enumerate(turns):
        if number % 2 == 0:
            client.send(lines(text))
        else:
            client.hears(lines(text.replace('TAG', tag)))


def as_service(dialect, turns):
    """The same turns as the handler has to know them; it counts lines, so a literal has an answer of its own."""
    verb = turns[0].upper().split()[dialect is IMAP]
    answers = []
    for number, text in enumerate(turns[1:]):
        if number % 2 == 0:
            answers.append(lines(text))
        else:
            answers += [b''] * text.count('|')
    return {verb: answers[0], 'then': {verb: answers[1:]}, 'echo': verb}


@policies
@pytest.mark.parametrize('name', CHALLENGED)
def test_login_without_a_password_passes_before_tls_and_then_nothing_is_looked_at(enter, name, policy):
    dialect, *turns = CHALLENGED[name]
    server = enter(dialect, f'--policy={policy}', service=as_service(dialect, turns))
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        play(client, turns, 'x')
        echoes(client)
    end = server.wait()
    assert end.status == 0
    assert (end.summary['start'], end.summary['end']) == ('plaintext', 'client-close')
    said = b''.join(lines(text) for text in turns[::2])
    assert server.recorder.run(inside=False).input == said


PASSWORDS = {
    'IMAP LOGIN': (IMAP, f'x LOGIN bob {lobby.PASSWORD}', '* CAPABILITY IMAP4rev1 LITERAL+|TAG OK in'),
    'IMAP PLAIN': (IMAP, 'x AUTHENTICATE PLAIN', '+ ', lobby.SECRET, 'TAG OK in'),
    'POP3 USER and PASS': (POP3, 'USER bob', '+OK', f'PASS {lobby.PASSWORD}', '+OK in'),
    'POP3 PLAIN': (POP3, f'AUTH PLAIN {lobby.SECRET}', '+OK in'),
    'SMTP PLAIN': (SMTP, f'AUTH PLAIN {lobby.SECRET}', '235 2.7.0 in'),
    'SMTP LOGIN': (SMTP, 'AUTH LOGIN', '334 VXNlcm5hbWU6', 'Ym9i', '334 UGFzc3dvcmQ6', 'aHVudGVyMg==', '235 in'),
    'LMTP PLAIN': (LMTP, f'AUTH PLAIN {lobby.SECRET}', '235 2.7.0 in'),
    'ManageSieve PLAIN': (SIEVE, f'AUTHENTICATE "PLAIN" "{lobby.SECRET}"', 'OK "in"'),
    'NNTP USER and PASS': (NNTP, 'AUTHINFO USER bob', '381 more', f'AUTHINFO PASS {lobby.PASSWORD}', '281 in'),
    'NNTP PLAIN': (NNTP, f'AUTHINFO SASL PLAIN {lobby.SECRET}', '281 in'),
}


@pytest.mark.parametrize('name', PASSWORDS)
def test_login_with_a_password_passes_under_optional_and_then_nothing_is_looked_at(enter, name):
    dialect, *turns = PASSWORDS[name]
    server = enter(dialect, '--policy=optional', service=as_service(dialect, turns))
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        play(client, turns, 'x')
        echoes(client)
    end = server.wait()
    assert end.status == 0
    assert end.summary['start'] == 'plaintext'
    lobby.has_no_secret(end.log)
    assert server.recorder.run(inside=False).input == b''.join(lines(text) for text in turns[::2])


LEAVING = {
    'SMTP mail': (SMTP, 'MAIL FROM:<ann@example.org>', '250 2.1.0 OK'),
    'SMTP mail with an answer of two lines': (SMTP, 'mail FROM:<ann@example.org>', '250-2.1.0 OK|250 2.1.0 go on'),
    'LMTP mail': (LMTP, 'MAIL FROM:<>', '250 2.1.0 OK'),
    'NNTP group': (NNTP, 'GROUP misc.test', '211 3 1 3 misc.test'),
    'NNTP article': (NNTP, 'ARTICLE <x@example.org>', '220 0 <x@example.org>|STARTTLS|.'),
    'NNTP post': (NNTP, 'POST', '340 send it'),
    'NNTP transfer': (NNTP, 'IHAVE <x@example.org>', '335 send it'),
}


@pytest.mark.parametrize('policy, name', [(policy, name) for policy in ('auth', 'optional') for name in LEAVING
                                          if policy == 'optional' or ' mail' not in name])
def test_mail_and_news_leave_the_lobby_and_then_nothing_is_looked_at(enter, name, policy):
    dialect, *turns = LEAVING[name]
    server = enter(dialect, f'--policy={policy}', service=as_service(dialect, turns))
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        play(client, turns, '')
        echoes(client)
    end = server.wait()
    assert end.status == 0
    assert end.summary['start'] == 'plaintext'


@pytest.mark.parametrize('policy, name', [
    ('auth', 'IMAP SCRAM-SHA-256 at once'), ('auth', 'POP3 APOP'), ('auth', 'NNTP post'),
    ('optional', 'IMAP SCRAM-SHA-256 at once'), ('optional', 'POP3 APOP'), ('optional', 'NNTP post'),
    ('optional', 'SMTP mail'), ('optional', 'LMTP mail')])
def test_bytes_in_one_segment_with_the_command_that_leaves_the_lobby_arrive_as_they_are(enter, name, policy):
    dialect, *turns = {**CHALLENGED, **LEAVING}[name]
    server = enter(dialect, f'--policy={policy}', service=as_service(dialect, turns))
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        said = client.flood([lines(turns[0]) + DATA])
    assert said == lines(turns[1].replace('TAG', 'x')) + DATA
    assert server.wait().status == 0


# Under auth a mail transaction is looked at until its message comes: client and handler in turn.
TRANSACTION = [('MAIL FROM:<ann@example.org>', '250 2.1.0 OK'), ('RCPT TO:<bob@example.org>', '250 2.1.5 OK')]
DATA_BEGINS = {
    'DATA': ('DATA', '354 go on'),
    'BDAT': ('BDAT 7', ''),     # the handler answers when it has the seven bytes
}


@pytest.mark.parametrize('begin', DATA_BEGINS)
@pytest.mark.parametrize('dialect', [SMTP, LMTP], ids=repr)
def test_login_with_a_password_amid_a_mail_transaction_is_refused_under_auth_until_the_message_comes(
        enter, dialect, begin):
    line, answer = DATA_BEGINS[begin]
    service = {'MAIL': lines(TRANSACTION[0][1]), 'RCPT': lines(TRANSACTION[1][1]), 'RSET': lines('250 2.0.0 OK'),
               begin: lines(answer) if answer else b'', 'echo': begin}
    server = enter(dialect, '--policy=auth', service=service)
    said = []
    with Client(server, dialect.auth_hello) as client:
        for repeated in ('MAIL', 'RCPT', 'RSET', 'MAIL', 'RCPT', 'RCPT'):
            client.ask(dialect.logins[0][0], dialect.no_password)
            said.append(dict(MAIL=TRANSACTION[0][0], RCPT=TRANSACTION[1][0], RSET='RSET')[repeated])
            client.ask(said[-1], '250 .+')
        client.ask(dialect.starttls, dialect.no_tls)     # too late
        client.ask(dialect.logins[0][0], dialect.no_password)
        said.append(line)
        client.send(line)
        client.hears(lines(answer) if answer else b'')
        echoes(client)
    end = server.wait()
    assert end.status == 0
    assert end.summary['start'] == 'plaintext'
    lobby.has_no_secret(end.log)
    assert server.recorder.run(inside=False).input.startswith(lines('|'.join(said)))


def test_mail_transaction_may_have_more_recipients_than_a_lobby_has_commands(enter):
    server = enter(SMTP, '--policy=auth', service={'MAIL': lines('250 OK'), 'RCPT': lines('250 OK')})
    with Client(server, SMTP.auth_hello) as client:
        client.ask('MAIL FROM:<ann@example.org>', '250 .+')
        for number in range(100):
            client.ask(f'RCPT TO:<u{number}@example.org>', '250 .+')
        client.ask(SMTP.quit, SMTP.bye)
    assert server.wait().status == 0


# What a lenient daemon would take for a login in spite of its spelling: under auth it never gets it.
DISGUISED = [
    (IMAP, f'b "LOGIN" bob {lobby.PASSWORD}'), (IMAP, f'b LOGIN\vbob {lobby.PASSWORD}'),
    (IMAP, f'b LOGIN\fbob {lobby.PASSWORD}'), (IMAP, f'b  LOGIN bob {lobby.PASSWORD}'),
    (IMAP, f'b\vLOGIN bob {lobby.PASSWORD}'), (IMAP, f'b (LOGIN) bob {lobby.PASSWORD}'),
    (IMAP, f'b AUTHENTICATE SCRAM-SHA-1 LOGIN bob {lobby.PASSWORD}'),
    (POP3, 'USER\vbob'), (POP3, f'PASS\f{lobby.PASSWORD}'), (POP3, f'"PASS" {lobby.PASSWORD}'),
    (POP3, f' PASS {lobby.PASSWORD}'), (POP3, f'AUTH\vPLAIN {lobby.SECRET}'),
    (SMTP, f'AUTH\vPLAIN {lobby.SECRET}'), (SMTP, f'"AUTH" PLAIN {lobby.SECRET}'), (LMTP, f' AUTH PLAIN {lobby.SECRET}'),
    (SIEVE, f'"AUTHENTICATE" "PLAIN" "{lobby.SECRET}"'), (SIEVE, f'AUTHENTICATE\v"PLAIN" "{lobby.SECRET}"'),
    (NNTP, f'AUTHINFO\vPASS {lobby.PASSWORD}'), (NNTP, f'XAUTHINFO PASS {lobby.PASSWORD}'),
]


@pytest.mark.parametrize('dialect, line', [pytest.param(*row, id=f'{row[0]} {row[1]!r}') for row in DISGUISED])
def test_login_in_a_spelling_that_is_not_the_protocols_never_reaches_the_handler_under_auth(enter, dialect, line):
    server = enter(dialect, '--policy=auth')
    with Client(server, dialect.auth_hello) as client:
        client.send(line)
        client.up_to(r'(\* |b )?(BAD|-ERR|5\d\d|NO)( .+)?')
        client.ask(dialect.noop, dialect.done)
    end = server.wait()
    lobby.has_no_secret(end.log)
    assert server.recorder.run(inside=False).input == dialect.noop.encode() + b'\r\n'


@pytest.mark.parametrize('control', ['\x01', '\x07', '\v', '\f', '\x1b', '\x7f'])
@dialects
@policies
def test_control_character_in_a_command_is_refused_under_every_policy(enter, dialect, policy, control):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.auth_hello if policy == 'auth' else None) as client:
        if policy == 'optional':
            client.up_to(lobby.WELCOME)
        client.send(dialect.noop + control)
        client.up_to(r'(\* |c )?(BAD|-ERR|501|NO)( .+)?')
        client.ask(dialect.noop, dialect.done)
    server.wait()
    assert server.recorder.run(inside=False).input == dialect.noop.encode() + b'\r\n'


# SASL responses as long as RFC 4954 has them, for Kerberos tickets and the like.
LONG = {
    'IMAP': (IMAP, 'x AUTHENTICATE GSSAPI', '+ ', 'TAG OK in'), 'POP3': (POP3, 'AUTH GSSAPI', '+ ', '+OK in'),
    'SMTP': (SMTP, 'AUTH GSSAPI', '334 ', '235 2.7.0 in'), 'NNTP': (NNTP, 'AUTHINFO SASL GSSAPI', '383 =', '281 in'),
    'ManageSieve': (SIEVE, 'AUTHENTICATE "GSSAPI"', '""', 'OK'),
}


def response(dialect, length):
    return '"' + 'A' * (length - 2) + '"' if dialect is SIEVE else 'A' * length


@pytest.mark.parametrize('name', LONG)
def test_sasl_response_may_have_12288_bytes(enter, name):
    dialect, login, challenge, yes = LONG[name]
    turns = [login, challenge, response(dialect, 12288 if dialect is not SIEVE else 12286), yes]
    server = enter(dialect, '--policy=auth', service=as_service(dialect, turns))
    with Client(server, dialect.auth_hello) as client:
        play(client, turns, 'x')
        echoes(client)
    assert server.wait().status == 0
    assert server.recorder.run(inside=False).input == lines('|'.join(turns[::2]))


@pytest.mark.parametrize('name', LONG)
def test_sasl_response_of_more_than_12288_bytes_ends_the_connection(enter, name):
    dialect, login, challenge, yes = LONG[name]
    server = enter(dialect, '--policy=auth', service=as_service(dialect, [login, challenge, '', yes]))
    with Client(server, dialect.auth_hello) as client:
        play(client, [login, challenge], 'x')
        client.send(response(dialect, 12292))
        client.closes_with(dialect.too_long)
    assert 'client sent a SASL response of more than 12288 bytes' in server.wait().log
    assert server.recorder.run(inside=False).input == lines(login)


@pytest.mark.parametrize('name', ['IMAP', 'POP3', 'SMTP', 'NNTP', 'ManageSieve'])
def test_response_at_once_may_be_long_if_the_mechanism_is_allowed(enter, name):
    dialect, login, _, yes = LONG[name]
    first = ' ' + response(dialect, 8000 if dialect is not SIEVE else 8002)
    for mechanism, passes in [('GSSAPI', True), ('PLAIN', False)]:
        line = login.replace('GSSAPI', mechanism) + first
        server = enter(dialect, '--policy=auth', service=as_service(dialect, [line, yes]))
        with Client(server, dialect.auth_hello) as client:
            client.send(line)
            if passes:
                client.hears(lines(yes.replace('TAG', 'x')))
            else:
                client.closes_with(dialect.too_long)
        server.wait()


# The client's answer to a challenge, which might be a command to a handler that no longer waits for one.
NO_RESPONSE = [
    (IMAP, 'a AUTHENTICATE CRAM-MD5', '+ PDEyMz4=', f'b LOGIN bob {lobby.PASSWORD}', 'TAG BAD cancelled'),
    (POP3, 'AUTH CRAM-MD5', '+ PDEyMz4=', f'PASS {lobby.PASSWORD}', '-ERR cancelled'),
    (SMTP, 'AUTH CRAM-MD5', '334 PDEyMz4=', f'AUTH PLAIN {lobby.SECRET}', '501 5.0.0 cancelled'),
    (SIEVE, 'AUTHENTICATE "CRAM-MD5"', '"PDEyMz4="', f'AUTHENTICATE "PLAIN" "{lobby.SECRET}"', 'NO "cancelled"'),
    (SIEVE, 'AUTHENTICATE "CRAM-MD5"', '"PDEyMz4="', f'{{4+}}|AUTHENTICATE "PLAIN" "{lobby.SECRET}"', 'NO "cancelled"'),
    (NNTP, 'AUTHINFO SASL CRAM-MD5', '383 PDEyMz4=', f'AUTHINFO PASS {lobby.PASSWORD}', '481 cancelled'),
]


@pytest.mark.parametrize('dialect, line, challenge, wrong, no', [
    pytest.param(*row, id=f'{row[0]} {row[3]}') for row in NO_RESPONSE])
def test_answer_to_a_challenge_that_is_no_response_cancels_the_login_and_never_reaches_the_handler(
        enter, dialect, line, challenge, wrong, no):
    given_up = '"*"' if dialect is SIEVE else '*'
    turns = [line, challenge, given_up, no]
    server = enter(dialect, '--policy=auth', service={**as_service(dialect, turns), 'echo': None})
    with Client(server, dialect.auth_hello) as client:
        play(client, turns[:2], 'a')
        client.send(lines(wrong)[:-2].decode())
        client.hears(lines(no.replace('TAG', 'a')))
        client.ask(dialect.noop, dialect.done)
    end = server.wait()
    assert 'client answered a SASL challenge with something else than base64: login cancelled' in end.log
    lobby.has_no_secret(end.log)
    assert server.recorder.run(inside=False).input == lines(f'{line}|{given_up}|{dialect.noop}')


DENIED = [
    (IMAP, 'a AUTHENTICATE CRAM-MD5', 'TAG NO not now'), (POP3, 'APOP bob c4c9334bac560ecc979e58001b3e22fb', '-ERR no'),
    (SMTP, 'AUTH CRAM-MD5', '535 5.7.8 no'), (SMTP, 'MAIL FROM:<ann@example.org>', '530 5.7.0 log in first'),
    (LMTP, 'MAIL FROM:<ann@example.org>', '530-5.7.0 log in|530 5.7.0 first'), (SIEVE, 'AUTHENTICATE "CRAM-MD5"', 'NO'),
    (NNTP, 'AUTHINFO SASL CRAM-MD5', '481 no'), (NNTP, 'GROUP misc.test', '480 log in first'),
]


@pytest.mark.parametrize('dialect, line, no', [pytest.param(*row, id=f'{row[0]} {row[1]}') for row in DENIED])
def test_command_that_the_handler_refuses_does_not_leave_the_lobby_so_a_password_is_still_refused(
        enter, pki, dialect, line, no):
    verb = line.split()[dialect is IMAP]
    server = enter(dialect, '--policy=auth', service={verb: lines(no)})
    with Client(server, dialect.auth_hello) as client:
        client.send(line)
        client.hears(lines(no.replace('TAG', 'a')))
        client.ask(dialect.logins[0][0], dialect.no_password)
        is_in_tls(client.start_tls(dialect, pki.ca), dialect)
    end = server.wait()
    lobby.has_no_secret(end.log)
    lobby.has_no_secret(server.recorder.everything())


CANCELLED = [
    (IMAP, 'a AUTHENTICATE CRAM-MD5', '+ PDEyMz4=', 'TAG BAD cancelled'),
    (POP3, 'AUTH CRAM-MD5', '+ PDEyMz4=', '-ERR cancelled'),
    (SMTP, 'AUTH CRAM-MD5', '334 PDEyMz4=', '501 5.0.0 cancelled'),
    (LMTP, 'AUTH CRAM-MD5', '334 PDEyMz4=', '501 5.0.0 cancelled'),
    (SIEVE, 'AUTHENTICATE "CRAM-MD5"', '"PDEyMz4="', 'NO "cancelled"'),
    (NNTP, 'AUTHINFO SASL CRAM-MD5', '383 PDEyMz4=', '481 cancelled'),
]


@pytest.mark.parametrize('dialect, line, challenge, no', [pytest.param(*row, id=repr(row[0])) for row in CANCELLED])
def test_login_that_the_client_cancels_does_not_leave_the_lobby(enter, pki, dialect, line, challenge, no):
    turns = [line, challenge, '"*"' if dialect is SIEVE else '*', no]
    server = enter(dialect, '--policy=auth', service={**as_service(dialect, turns), 'echo': None})
    with Client(server, dialect.auth_hello) as client:
        play(client, turns, 'a')
        client.ask(dialect.logins[0][0], dialect.no_password)
        is_in_tls(client.start_tls(dialect, pki.ca), dialect)
    server.wait()
    lobby.has_no_secret(server.recorder.everything())


# Lock-step

@dialects
@policies
def test_handler_gets_the_next_command_only_when_it_has_answered_the_one_before(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}', service={'probe': True})
    said = [dialect.capability, dialect.noop, dialect.noop]
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        client.send('\r\n'.join(said))
        for _ in said[1:]:
            client.up_to(dialect.done)
    assert server.wait().status == 0
    run = server.recorder.run(inside=False)
    assert run.reads == [line.encode() + b'\r\n' for line in said]
    assert not run.early


@dialects
@policies
def test_quit_is_the_handlers_to_answer_and_its_status_is_ours(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}', service={'status': 7})
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        client.send(dialect.quit)
        client.hears(dialect.answer(dialect.quit))
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 7
    assert (end.summary['handler'], end.summary['end']) == ('7', 'left')


# Handlers that misbehave in the lobby: a script whose words are the greeting and a line that lets more expect.

MORE = {'imap': '* x', 'pop3': 'x', 'smtp': '250-x', 'lmtp': '250-x', 'sieve': '"x"', 'nntp': 'x'}
WRONG = {
    'ends without a greeting': ('exit 3', 3, 'handler ended before its answer was whole'),
    'ends amid its greeting': ('printf 2; exit 3', 3, 'handler ended before its answer was whole'),
    'ends without an answer': ('printf "$0"; read -r line; exit 3', 3, 'handler ended before its answer was whole'),
    'ends amid its answer': ('printf "$0"; read -r line; printf "$1" | tr -d "\\n"; exit 3', 3,
                             'handler ended before its answer was whole'),
    'greets with nonsense': ('printf "hello\\r\\n"; cat >/dev/null', 0, 'an answer that has no place before TLS'),
    'answers with nonsense': ('printf "$0"; read -r line; printf "=hello\\r\\n"; cat >/dev/null', 0,
                              'an answer that has no place before TLS'),
    'greets with no line end for ever': ('exec tr "\\0" x </dev/zero', 141, 'an answer that has no place before TLS'),
    'answers with lines for ever': ('printf "$0"; read -r line; printf "$2"; exec yes "$1"', 141,
                                    'an answer that has no place before TLS'),
}


@dialects
@pytest.mark.parametrize('how', WRONG)
def test_client_of_a_handler_is_told_so_that(enter, dialect, how):
    script, status, words = WRONG[how]
    first = {'pop3': r'+OK\r\n', 'nntp': r'101 x\r\n'}.get(dialect.name, '')
    handler = lobby.shell(script, lobby.printable(dialect.service['greeting']), MORE[dialect.name], first)
    server = enter(dialect, '--policy=auth', handler=handler)
    with Client(server) as client:
        if 'answer' in how:
            client.up_to(lobby.WELCOME)
            client.send(dialect.capability)
        client.closes_with(dialect.unavailable)
    end = server.wait()
    assert end.status == status
    assert end.summary['end'] == 'handler-close'
    assert words in end.log


def test_client_of_a_handler_that_hangs_is_told_so_in_any_protocol(enter):
    clients = []
    for dialect in DIALECTS:
        for script in ('exec sleep 100', 'printf "$0"; read -r line; exec sleep 100'):
            handler = lobby.shell(script, lobby.printable(dialect.service['greeting']))
            server = enter(dialect, '--policy=auth', '--timeout-lobby=2', '--timeout-grace=1', handler=handler)
            clients.append((dialect, server, Client(server)))
            if 'printf' in script:
                clients[-1][2].up_to(lobby.WELCOME)
                clients[-1][2].send(dialect.noop)
    for dialect, server, client in clients:
        with client:
            client.closes_with(dialect.unavailable)
    for dialect, server, client in clients:
        end = server.wait()
        assert end.status == 143
        assert end.summary['end'] == 'timeout-lobby'
        assert 'handler did not answer before --timeout-lobby was over' in end.log


LAST_WORDS = {'imap': '* BYE too long', 'pop3': '-ERR too long', 'smtp': '421 4.4.2 too long',
              'lmtp': '421 4.4.2 too long', 'sieve': 'BYE "too long"', 'nntp': '400 too long'}


@dialects
def test_what_a_handler_says_last_before_it_ends_in_the_lobby_reaches_the_client(enter, dialect, tmp_path):
    last = LAST_WORDS[dialect.name]
    handler = lobby.shell('printf "$0"; until [ -e "$1" ]; do sleep 0.01; done; printf %b "$2\\r\\n"; exit 3',
                          lobby.printable(dialect.service['greeting']), tmp_path / 'end', last)
    server = enter(dialect, '--policy=auth', handler=handler)
    with Client(server, dialect.auth_hello) as client:
        (tmp_path / 'end').touch()
        assert client.rest().decode() == last + '\r\n'
    end = server.wait()
    assert end.status == 3
    assert end.summary['end'] == 'handler-close'


@dialects
def test_handler_that_greets_with_a_refusal_in_the_lobby_is_heard(enter, dialect):
    no = LAST_WORDS[dialect.name]
    server = enter(dialect, '--policy=auth', handler=lobby.shell('printf %b "$0"; exit 3', no + r'\r\n'))
    with Client(server) as client:
        assert client.rest().decode() == no + '\r\n'
    assert server.wait().status == 3


def test_handler_that_cannot_be_started_in_the_lobby_is_a_temporary_failure(enter, tmp_path):
    for dialect in DIALECTS:
        server = enter(dialect, '--policy=auth', handler=[tmp_path / 'missing'])
        with Client(server) as client:
            client.closes_with(dialect.unavailable)
        end = server.wait()
        assert end.status == 69
        assert end.summary['end'] == 'no-handler'
        assert 'missing cannot be started: No such file or directory' in end.log


# --trusted

TRUSTED = [
    ('127.0.0.0/8', '127.0.0.1', True), ('127.0.0.1/32', '127.0.0.1', True), ('0.0.0.0/0', '127.0.0.1', True),
    ('192.0.2.0/24,127.0.0.2/31', '127.0.0.2', True), ('2001:db8::/32,local', '127.0.0.1', True),
    ('127.0.0.2/32', '127.0.0.1', False), ('192.0.2.0/24', '127.0.0.1', False), ('::1/128', '127.0.0.1', False),
    ('local', '127.0.0.1', True),
    ('local', '127.0.0.2', False),      # not the server's own address
    ('126.0.0.0/8,128.0.0.0/1', '127.0.0.1', False),
]


@pytest.mark.parametrize('policy', ['required', 'auth'])
@pytest.mark.parametrize('trusted, address, yes', TRUSTED)
def test_client_may_log_in_without_tls_if_it_is_trusted(enter, policy, trusted, address, yes):
    server = enter(IMAP, f'--policy={policy}', f'--trusted={trusted}')
    with Client(From(server, address)) as client:
        client.up_to(lobby.WELCOME)
        client.ask(f'a LOGIN bob {lobby.PASSWORD}', r'a OK handler did' if yes else r'a NO \[PRIVACYREQUIRED\] .+')
        client.ask('b NOOP', 'b OK .+')
    end = server.wait()
    assert end.summary.get('handler') == ('0' if yes or policy == 'auth' else None)
    assert ('LOGIN before TLS refused' in end.log) == (not yes)


@dialects
def test_trusted_client_is_served_in_plaintext_and_may_still_ask_for_tls(enter, pki, dialect):
    server = enter(dialect, '--policy=required', '--trusted=local')
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        client.send(dialect.leave)
        client.hears(dialect.answer(dialect.leave))
    assert server.wait().summary['handler'] == '0'
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        is_in_tls(client.start_tls(dialect, pki.ca), dialect)
    assert server.wait().summary['tls'] == 'TLSv1.3'


@pytest.mark.parametrize('trusted, yes', [('::1/128', True), ('local', True), ('127.0.0.0/8', False),
                                          ('2001:db8::/32', False)])
def test_ipv6_client_may_log_in_without_tls_if_it_is_trusted(enter, trusted, yes):
    server = enter(IMAP, f'--trusted={trusted}', family='inet6')
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        client.ask(f'a LOGIN bob {lobby.PASSWORD}', r'a OK handler did' if yes else r'a NO \[PRIVACYREQUIRED\] .+')
    server.wait()


def test_client_over_a_unix_socket_is_in_no_network(enter):
    server = enter(IMAP, '--trusted=0.0.0.0/0,::/0', family='unix')
    with Client(server, IMAP.hello) as client:
        client.ask(f'a LOGIN bob {lobby.PASSWORD}', r'a NO \[PRIVACYREQUIRED\] .+')
    server.wait()


# The greeting inside TLS

SWALLOWED = {
    'an IMAP greeting': (IMAP, '* OK ready'),
    'an IMAP greeting with capabilities': (IMAP, '* OK [CAPABILITY IMAP4rev1 STARTTLS] ready'),
    'an IMAP greeting in small letters': (IMAP, '* ok ready'),
    'a POP3 greeting': (POP3, '+OK ready'),
    'a POP3 greeting for APOP': (POP3, '+OK <1896.697170952@dbc.mtview.ca.us>'),
    'an SMTP greeting': (SMTP, '220 ready'),
    'an SMTP greeting of three lines': (SMTP, '220-welcome|220-554 no spam|220 ready'),
    'an SMTP greeting without text': (SMTP, '220'),
    'an LMTP greeting': (LMTP, '220 ready'),
    'an NNTP greeting with posting': (NNTP, '200 ready'),
    'an NNTP greeting without posting': (NNTP, '201 ready'),
}
HOW = {'in one write': {}, 'in one write with what follows': {}, 'in single bytes': {'drip': True}}


@pytest.mark.parametrize('how', HOW)
@pytest.mark.parametrize('name', SWALLOWED)
def test_greeting_inside_tls_is_swallowed_if_it_is(enter, pki, name, how):
    dialect, greeting = SWALLOWED[name]
    more = b'more\r\n' if 'follows' in how else b''
    server = enter(dialect, service={'greeting': lines(greeting) + more, **HOW[how]})
    with Client(server, dialect.hello) as client:
        inside = client.start_tls(dialect, pki.ca)
        inside.hears(more)
        inside.send(dialect.noop)
        inside.hears(dialect.answer(dialect.noop))
        inside.send(dialect.quit)
        inside.hears(dialect.answer(dialect.quit))
        assert inside.rest() == b''
    assert server.wait().status == 0
    assert server.recorder.run(inside=True).input == f'{dialect.noop}\r\n{dialect.quit}\r\n'.encode()


# Writes its greeting in two pieces, the second one when the first has been read; then it answers by its second word.
PIECES = """
import array, fcntl, os, sys, termios, time
greeting, first = sys.argv[1].encode(), int(sys.argv[3])
os.write(1, greeting[:first])
left = array.array('i', [1])
while left[0]:
    fcntl.ioctl(1, termios.FIONREAD, left)
    time.sleep(0.002)
os.write(1, greeting[first:])
while sys.stdin.readline():
    os.write(1, sys.argv[2].encode())
"""
ROOM = 16384    # what a greeting may have


@pytest.mark.parametrize('length', [ROOM - 1, ROOM, ROOM + 1, 2 * ROOM])
@pytest.mark.parametrize('first', [1, ROOM - 2, ROOM - 1, ROOM])
def test_greeting_in_two_pieces_is_swallowed_if_it_has_room(enter, pki, first, length):
    line = '220-' + 'x' * 94 + '\r\n'
    greeting = line * (length // 100 - 1)
    greeting += '220-' + 'y' * (length - len(greeting) - 13) + '\r\n220 z\r\n'
    assert len(greeting) == length
    server = enter(SMTP, handler=lobby.python(PIECES, greeting, '250 yes\r\n', min(first, length - 1)))
    with Client(server, SMTP.hello) as client:
        inside = client.start_tls(SMTP, pki.ca)
        if length <= ROOM:
            inside.ask('NOOP', '250 yes')
            inside.tls.close_notify()
        assert inside.rest() == b''
    end = server.wait()
    assert ("the handler's greeting can't be used" in end.log) == (length > ROOM)
    assert end.summary['end'] == ('client-close' if length <= ROOM else 'handler-close')


def test_managesieve_greeting_comes_again_inside_tls_as_the_handler_says_it(enter, pki):
    greeting = lines('"IMPLEMENTATION" "x"|"SASL" "PLAIN"|"STARTTLS"|"SIEVE" {6}|reject|OK "again"')
    server = enter(SIEVE, '--policy=auth', service={'tls_greeting': greeting})
    with Client(server, SIEVE.auth_hello) as client:
        inside = client.start_tls(SIEVE, pki.ca)
        inside.hears(greeting)
    assert server.wait().status == 0


NO = {
    'IMAP BYE': (IMAP, '* BYE [UNAVAILABLE] try later'),
    'POP3 -ERR': (POP3, '-ERR [SYS/TEMP] try later'),
    'SMTP 421': (SMTP, '421 4.3.2 try later'),
    'SMTP 554 in three lines': (SMTP, '554-5.3.2 no|554-5.3.2 service|554 5.3.2 here'),
    'LMTP 421': (LMTP, '421 4.3.2 try later'),
    'NNTP 400': (NNTP, '400 try later'),
    'NNTP 502': (NNTP, '502 not for you'),
}


@pytest.mark.parametrize('name', NO)
@pytest.mark.parametrize('how', ['in one write', 'in single bytes', 'after the command'])
def test_greeting_that_says_no_is_the_answer_to_the_first_command_which_the_handler_never_gets(
        enter, pki, tmp_path, name, how):
    dialect, greeting = NO[name]
    service = {'greeting': lines(greeting), 'drip': how == 'in single bytes'}
    if how == 'after the command':
        service['wait'] = str(tmp_path / 'greet')
    server = enter(dialect, service=service)
    with Client(server, dialect.hello) as client:
        inside = client.start_tls(dialect, pki.ca)
        if how != 'after the command':
            processes.until(lambda: server.recorder.runs(), 'the greeting')
        assert inside.is_silent()
        inside.send(dialect.capability)
        (tmp_path / 'greet').touch()
        inside.hears(lines(greeting))
        inside.send(dialect.noop)
        inside.hears(dialect.answer(dialect.noop))
    assert server.wait().status == 0
    assert server.recorder.run(inside=True).input == dialect.noop.encode() + b'\r\n'


@pytest.mark.parametrize('name', NO)
def test_greeting_that_says_no_before_the_handler_ends_still_answers_the_first_command(enter, pki, name):
    dialect, greeting = NO[name]
    handler = lobby.shell('printf %b "$0"; exit 3', lobby.printable(lines(greeting)))
    server = enter(dialect, handler=handler)
    with Client(server, dialect.hello) as client:
        inside = client.start_tls(dialect, pki.ca)
        processes.until(lambda: not lobby.handlers_of(server), 'the end of the handler')
        assert inside.is_silent()
        inside.send(dialect.capability)
        assert inside.rest() == lines(greeting)
    assert server.wait().status == 3


@pytest.mark.parametrize('dialect', [IMAP, POP3, SMTP, LMTP, NNTP], ids=repr)
def test_handler_is_given_no_command_before_it_has_greeted(enter, pki, tmp_path, dialect):
    server = enter(dialect, service={'wait': str(tmp_path / 'greet')})
    with Client(server, dialect.hello) as client:
        inside = client.start_tls(dialect, pki.ca)
        inside.send(dialect.noop)
        (tmp_path / 'greet').touch()
        inside.hears(dialect.answer(dialect.noop))
    assert server.wait().status == 0
    assert not server.recorder.run(inside=True).early


def test_handler_that_greets_with_preauth_is_refused_after_starttls_with_a_line_that_says_so(enter, pki):
    server = enter(IMAP, service={'greeting': b'* PREAUTH logged in as bob\r\n'})
    with Client(server, IMAP.hello) as client:
        inside = client.start_tls(IMAP, pki.ca)
        assert inside.rest() == b''
    end = server.wait()
    assert 'PREAUTH' in end.log
    assert end.summary['end'] == 'handler-close'
    assert server.recorder.run(inside=True).input == b''


@policies
def test_handler_that_greets_with_preauth_is_refused_before_tls_with_a_line_that_says_so(enter, policy):
    server = enter(IMAP, f'--policy={policy}', service={'greeting': b'* PREAUTH logged in as bob\r\n'})
    with Client(server) as client:
        client.closes_with(IMAP.unavailable)
    assert 'handler greets with PREAUTH' in server.wait().log


def test_handler_that_does_not_greet_inside_tls_is_given_up_with_a_line_that_says_so(enter, pki):
    server = enter(SMTP, '--timeout-lobby=1', '--timeout-grace=1', handler=['/bin/sleep', '100'])
    with Client(server, SMTP.hello) as client:
        inside = client.start_tls(SMTP, pki.ca)
        assert inside.rest() == b''
    assert "the handler's greeting" in server.wait().log
