"""A hub on loopback for scenarios, and a client of the standard library."""
import base64
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import uuid

BUILD = os.environ.get('NOROSHI_BUILD', 'build')
HUB = os.path.join(os.path.abspath(BUILD), 'cmd', 'noroshi-hub')
TAXII = 'application/taxii+json;version=2.1'
NOW = '2017-08-21T00:00:00Z'
AMBER = 'marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421'
RED = 'marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1'
GREEN = 'marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb'
CLEAR = 'marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487'
STRICT = 'marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003'


def run(*args, status=0, stdin=None):
    env = dict(os.environ, NOROSHI_NOW=NOW)
    p = subprocess.run([HUB, *args], capture_output=True, text=True,
                       input=stdin, env=env, timeout=60)
    assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout if status == 0 else p.stderr


class Client:
    def __init__(self, hub, key=None, basic=None):
        self.hub, self.conn, self.auth = hub, None, None
        if key:
            self.auth = 'Bearer ' + key
        if basic:
            self.auth = 'Basic ' + base64.b64encode(basic.encode()).decode()

    def ask(self, method, path, body=None, headers=None, raw=None):
        h = {} if self.auth is None else {'Authorization': self.auth}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            h['Content-Type'] = TAXII if path.startswith('/taxii2') \
                else 'application/json'
        h.update(headers or {})
        for again in (True, False):
            if self.conn is None:
                self.conn = self.hub.connect()
            try:
                self.conn.request(method, path, raw, h)
                r = self.conn.getresponse()
                break
            except (http.client.HTTPException, ConnectionError, OSError):
                self.conn.close()
                self.conn = None
                if not again or method != 'GET':
                    raise
        data = r.read()
        if r.will_close:
            self.conn.close()
            self.conn = None
        return r.status, r.headers, data

    def get(self, path, status=200, **kw):
        s, h, data = self.ask('GET', path, **kw)
        assert s == status, (path, s, data)
        return json.loads(data)

    def post(self, path, body, status=202, **kw):
        s, h, data = self.ask('POST', path, body, **kw)
        assert s == status, (path, s, data)
        return json.loads(data)


class Hub:
    def __init__(self, home, http=False, init=True, rate='100000', opts=(),
                 log=None):
        self.log = log or str(home) + '.err'
        self.home, self.http, self.proc = str(home), http, None
        self.rate = rate
        self.opts = list(opts) + os.environ.get('HUB_OPTS', '').split()
        if init:
            run('init', '--home', self.home, '--title', 'Test hub')
        self.start()

    def start(self, port=0):
        env = dict(os.environ, NOROSHI_NOW=NOW)
        cmd = [HUB, 'serve', '--home', self.home, '--listen',
               'localhost:%d' % port, '--rate', self.rate] + self.opts
        if self.http:
            cmd.append('--http')
        self.err = open(self.log, 'ab')
        self.proc = subprocess.Popen(cmd, stdout=subprocess.PIPE,
                                     stderr=self.err, env=env)
        line = self.proc.stdout.readline().decode()
        m = re.match(r'listening on https?://localhost:(\d+)/$', line)
        assert m, (line, open(self.log).read())
        self.port = int(m.group(1))
        self.tls = ssl.create_default_context(
            cafile=os.path.join(self.home, 'hub.pem'))

    def stop(self, sig=signal.SIGTERM):
        if self.proc is None:
            return 0
        self.proc.send_signal(sig)
        status = self.proc.wait(timeout=30)
        self.proc.stdout.close()
        self.err.close()
        self.proc = None
        return status

    def connect(self, timeout=30):
        if self.http:
            return http.client.HTTPConnection('localhost', self.port,
                                              timeout=timeout)
        return http.client.HTTPSConnection('localhost', self.port,
                                           context=self.tls, timeout=timeout)

    def socket(self, timeout=30):
        s = socket.create_connection(('localhost', self.port), timeout)
        return s if self.http else \
            self.tls.wrap_socket(s, server_hostname='localhost')

    def cli(self, *args, **kw):
        return run(*args, '--home', self.home, **kw)

    def invite(self, name, *opts):
        address = self.cli('member', 'invite', name, *opts).strip()
        return re.search(r'code=([^&]+)', address).group(1)

    def join(self, name, *opts):
        code = self.invite(name, *opts)
        j = Client(self).post('/v1/join', {'code': code,
                              'public_key': 'ab' * 32}, 200)
        c = Client(self, j['key'])
        c.member, c.joined, c.name = j['member'], j, name
        return c

    def account(self, name, role, password='secret'):
        self.cli('account', 'add', name, '--role', role, '--password-stdin',
                 stdin=password + '\n')
        return Client(self, basic='%s:%s' % (name, password))

    @property
    def collection(self):
        return json.loads(self.cli('collection', 'ls', '--json'))[0]['id']

    def objects(self, collection=None):
        return '/taxii2/root/collections/%s/objects/' % (
            collection or self.collection)


def sid(kind):
    return '%s--%s' % (kind, uuid.uuid4())


def indicator(by=None, marking=None, modified='2017-08-20T00:00:00.000Z',
              id=None, **more):
    o = {'type': 'indicator', 'spec_version': '2.1',
         'id': id or sid('indicator'), 'created': '2017-08-01T00:00:00.000Z',
         'modified': modified, 'pattern_type': 'stix',
         'pattern': "[ipv4-addr:value = '203.0.113.7']",
         'valid_from': '2017-08-01T00:00:00Z'}
    if by:
        o['created_by_ref'] = by
    if marking:
        o['object_marking_refs'] = [marking]
    o.update(more)
    return o


def report(by, indicators, marking=AMBER, **more):
    o = {'type': 'report', 'spec_version': '2.1', 'id': sid('report'),
         'created_by_ref': by, 'created': '2017-08-21T00:00:00.000Z',
         'modified': '2017-08-21T00:00:00.000Z', 'name': 'an intrusion',
         'published': '2017-08-21T00:00:00Z',
         'object_refs': [i['id'] for i in indicators],
         'object_marking_refs': [marking]}
    o.update(more)
    return o


def bundle(*objects):
    return {'type': 'bundle', 'id': sid('bundle'), 'objects': list(objects)}


def answer(member, indicator_id, what='not-seen', count=0, coverage=0.9,
           modified='2017-08-21T00:00:00.000Z'):
    ns = uuid.UUID(member.split('--')[1])
    o = {'type': 'sighting', 'spec_version': '2.1',
         'id': 'sighting--%s' % uuid.uuid5(ns, indicator_id),
         'created': '2017-08-21T00:00:00.000Z', 'modified': modified,
         'created_by_ref': member, 'sighting_of_ref': indicator_id,
         'where_sighted_refs': [member], 'count': count,
         'x_noroshi_answer': what, 'x_noroshi_denied': 0,
         'x_noroshi_coverage': {
             'coverage': coverage, 'kinds': ['proxy'], 'gaps': [],
             'from': '2015-08-22T00:00:00Z', 'to': '2017-08-21T00:00:00Z',
             'blind': False}}
    if what == 'seen':
        o['first_seen'] = '2016-05-01T00:00:00Z'
        o['last_seen'] = '2016-06-01T00:00:00Z'
    return o


class Stream:
    """Server-sent events of a client, read line by line."""

    def __init__(self, client, after=None, last_id=None):
        h = {'Authorization': client.auth}
        if last_id is not None:
            h['Last-Event-ID'] = str(last_id)
        self.conn = client.hub.connect(timeout=20)
        self.conn.request('GET', '/v1/events' + (
            '' if after is None else '?after=%s' % after), headers=h)
        self.r = self.conn.getresponse()
        self.status = self.r.status

    def next(self):
        """(event, id, data) of the next event; None when the stream ends."""
        event = {}
        while True:
            line = self.r.readline().decode()
            if not line:
                return None
            line = line.rstrip('\n')
            if not line and event:
                return (event.get('event'), event.get('id'),
                        json.loads(event['data']))
            if line and not line.startswith(':'):
                k, v = line.split(': ', 1)
                event[k] = v

    def close(self):
        self.conn.close()
