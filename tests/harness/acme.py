# SPDX-License-Identifier: GPL-2.0-or-later
"""A small ACME server (RFC 8555) on loopback, for Debian's ACME clients. Our own CA signs its certificates.

It accepts every account and every name without proof, and verifies no signature.
"""

import base64
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.pki import openssl

EXPIRES = '2099-01-01T00:00:00Z'


def decoded(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


class Acme:
    """Runs the server: a context manager. `url` is the address of its directory."""

    def __init__(self, pki, folder):
        self.pki = pki
        self.folder = folder
        self.accounts = set()
        self.orders = {}
        self.numbers = itertools.count(1)

    def __enter__(self):
        handler = type('Handler', (Handler,), {'acme': self})
        self.server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
        self.server.daemon_threads = True
        self.base = f'http://127.0.0.1:{self.server.server_port}'
        self.url = f'{self.base}/directory'
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def new_order(self, identifiers):
        number = str(next(self.numbers))
        self.orders[number] = {'status': 'ready', 'expires': EXPIRES, 'identifiers': identifiers,
                               'authorizations': [f'{self.base}/authorization/{number}/{one["value"]}' for one in identifiers],
                               'finalize': f'{self.base}/finalize/{number}'}
        return number

    def sign(self, number, der):
        """Returns the certificate for a request, followed by our CA's."""
        request, cert = self.folder / f'{number}.csr', self.folder / f'{number}.pem'
        request.write_text('-----BEGIN CERTIFICATE REQUEST-----\n' + base64.encodebytes(der).decode() +
                           '-----END CERTIFICATE REQUEST-----\n')
        openssl('x509', '-req', '-in', request, '-CA', self.pki.ca, '-CAkey', self.pki.folder / 'ca.key', '-days', '30',
                '-copy_extensions', 'copyall', '-out', cert)
        self.orders[number].update(status='valid', certificate=f'{self.base}/certificate/{number}')


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status, content=b'', kind='application/json', **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header('Replay-Nonce', f'nonce{next(self.acme.numbers)}')
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', len(body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def do_GET(self):
        base = self.acme.base
        if self.path == '/directory':
            self.answer(200, {name: f'{base}/{name}' for name in ('newNonce', 'newAccount', 'newOrder', 'revokeCert', 'keyChange')})
        else:
            self.answer(204)

    do_HEAD = do_GET

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.key = json.dumps(json.loads(decoded(said['protected'])).get('jwk'))
        payload = json.loads(decoded(said['payload']) or '{}')
        what, number, *more = [*self.path[1:].split('/'), '']
        getattr(self, f'on_{what}')(number, payload, *more)

    def on_newAccount(self, _, payload):
        known = self.key in self.acme.accounts
        if payload.get('onlyReturnExisting') and not known:
            self.answer(400, {'type': 'urn:ietf:params:acme:error:accountDoesNotExist'}, 'application/problem+json')
            return
        self.acme.accounts.add(self.key)
        self.answer(200 if known else 201, {'status': 'valid'}, Location=f'{self.acme.base}/account/1')

    def on_account(self, *_):
        self.answer(200, {'status': 'valid'})

    def on_newOrder(self, _, payload):
        number = self.acme.new_order(payload['identifiers'])
        self.answer(201, self.acme.orders[number], Location=f'{self.acme.base}/order/{number}')

    def on_order(self, number, *_):
        self.answer(200, self.acme.orders[number], Location=f'{self.acme.base}/order/{number}')

    def on_authorization(self, number, _, name, *__):
        wildcard = name.startswith('*.')
        challenge = {'type': 'http-01', 'status': 'valid', 'url': f'{self.acme.base}/challenge/{number}', 'token': 'x' * 43}
        self.answer(200, {'status': 'valid', 'expires': EXPIRES, 'challenges': [challenge],
                          'identifier': {'type': 'dns', 'value': name[2:] if wildcard else name},
                          **({'wildcard': True} if wildcard else {})})

    def on_finalize(self, number, payload, *_):
        self.acme.sign(number, decoded(payload['csr']))
        self.on_order(number)

    def on_certificate(self, number, *_):
        chain = (self.acme.folder / f'{number}.pem').read_bytes() + self.acme.pki.ca.read_bytes()
        self.answer(200, chain, 'application/pem-certificate-chain')
