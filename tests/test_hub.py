"""The hub over sockets: joining, keys, events, answers, reports, extent, the
gate, limits, bad input, backup, and kill -9 in a storm of posts."""
import base64
import hashlib
import json
import os
import random
import resource
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest

from hub_harness import (AMBER, CLEAR, GREEN, RED, STRICT, Client, Hub, Stream,
                         answer, bundle, indicator, report, run, sid)

KILLS = int(os.environ.get('KILLS', '5'))


@pytest.fixture(scope='module')
def hub(tmp_path_factory):
    h = Hub(tmp_path_factory.mktemp('hub') / 'home')
    yield h
    assert h.stop() == 0
    h.cli('check')


@pytest.fixture(scope='module')
def alice(hub):
    return hub.join('Alice', '--sector', 'energy', '--size', 'large')


@pytest.fixture(scope='module')
def bob(hub):
    return hub.join('Bob', '--sector', 'finance')


@pytest.fixture(scope='module')
def csirt(hub):
    return hub.account('csirt', 'csirt')


# --- joining, keys, accounts ------------------------------------------------

def test_join_address_and_pin(hub):
    address = hub.cli('member', 'invite', 'Pinned').strip()
    assert address.startswith('noroshi://localhost:%d/?code=' % hub.port)
    pin = address.split('pin=')[1]
    der = ssl.PEM_cert_to_DER_cert(open(hub.home + '/hub.pem').read())
    spki = subprocess.run(['openssl', 'x509', '-inform', 'DER', '-pubkey',
                           '-noout'], input=der, capture_output=True)
    if spki.returncode == 0:
        pem = spki.stdout.decode().strip().split('\n')[1:-1]
        digest = hashlib.sha256(base64.b64decode(''.join(pem))).digest()
        assert pin == base64.urlsafe_b64encode(digest).decode().rstrip('=')
    info = Client(hub).get('/v1/hub')
    assert info['name'] == 'Test hub' and info['time'].startswith('2017-08-21')
    assert info['certificate'] == open(hub.home + '/hub.pem').read()


def test_join(hub, alice):
    j = alice.joined
    assert j['member'].startswith('identity--')
    assert (j['sector'], j['size'], j['role']) == ('energy', 'large', 'member')
    assert j['collections'][0]['id'] == hub.collection
    assert j['expires'].startswith('2018-08-21')


def test_code_works_once_per_key(hub):
    code = hub.invite('Once')
    c = Client(hub)
    first = c.post('/v1/join', {'code': code, 'public_key': '11' * 32}, 200)
    # the answer was lost: the same key may ask again, and the old one ends
    again = c.post('/v1/join', {'code': code, 'public_key': '11' * 32}, 200)
    assert again['member'] == first['member']
    Client(hub, first['key']).get('/taxii2/', 401)
    Client(hub, again['key']).get('/taxii2/')
    c.post('/v1/join', {'code': code, 'public_key': '22' * 32}, 403)
    c.post('/v1/join', {'code': 'x' * 43, 'public_key': '22' * 32}, 403)
    c.post('/v1/join', {'code': code}, 422)
    c.post('/v1/join', {'code': code, 'public_key': 'zz'}, 422)


def test_expired_and_revoked(hub):
    code = hub.invite('Gone')
    hub.cli('member', 'revoke', 'Gone')
    Client(hub).post('/v1/join', {'code': code, 'public_key': '11' * 32}, 403)
    m = hub.join('Leaving')
    m.get('/taxii2/')
    key = hub.cli('key', 'add', 'Leaving', '--scope', 'read', '--days',
                  '0').strip()
    Client(hub, key).get('/taxii2/', 401)
    hub.cli('member', 'revoke', 'Leaving')
    m.get('/taxii2/', 401)
    assert 'no such' in hub.cli('key', 'add', 'Leaving', status=2)
    assert 'no such' in hub.cli('member', 'revoke', 'Nobody', status=2)


def test_scopes(hub, alice):
    read = Client(hub, hub.cli('key', 'add', 'Alice', '--scope',
                               'read').strip())
    write = Client(hub, hub.cli('key', 'add', 'Alice', '--scope',
                                'write').strip())
    read.get('/taxii2/')
    read.post(hub.objects(), {'objects': [indicator()]}, 403)
    write.post(hub.objects(), {'objects': [indicator()]})
    write.get('/taxii2/', 403)


@pytest.mark.parametrize('auth', [
    None, 'Bearer', 'Bearer x', 'Bearer ' + 'A' * 43, 'Basic !!!',
    'Basic ' + base64.b64encode(b'Alice:').decode(),
    'Basic ' + base64.b64encode(b'csirt:wrong').decode(),
    'Basic ' + base64.b64encode(b'\xff\xfe:x').decode(), 'Digest x',
    'Bearer ' + 'A' * 9000])
def test_strangers(hub, alice, csirt, auth):
    h = {} if auth is None else {'Authorization': auth}
    for path in ('/taxii2/', '/v1/events', '/v1/extent', '/metrics'):
        s, head, data = Client(hub).ask('GET', path, headers=h)
        assert s == 401, (path, data)
        assert 'Basic' in head['WWW-Authenticate']
    for path in ('/v1/answers', '/v1/reports', hub.objects()):
        s, _, _ = Client(hub).ask('POST', path, {'x': 1}, headers=h)
        assert s == 401


def test_foreign_key(hub, tmp_path):
    other = Hub(tmp_path / 'other')
    try:
        stranger = other.join('Stranger')
        Client(hub, stranger.joined['key']).get('/taxii2/', 401)
    finally:
        other.stop()


def test_basic(hub, csirt):
    for _ in range(3):
        csirt.get('/taxii2/')
    s, _, data = csirt.ask('GET', '/metrics')
    assert s == 200 and b'noroshi_hub_requests_total' in data


def test_metrics_are_for_authorities(alice):
    alice.get('/metrics', 403)


def test_health(hub):
    assert Client(hub).get('/healthz') == {'status': 'ok'}


# --- bad input --------------------------------------------------------------

@pytest.mark.parametrize('path', ['/v1/answers', '/v1/reports', '/v1/join'])
@pytest.mark.parametrize('raw', [
    b'', b'{', b'[1]', b'"x"', b'\xff\x00', b'{"a":1,"a":2}', b'null',
    b'{"answers":[]}', b'{"answers":{}}', b'{"tech":{}}', b'{}',
    b'{"tech":{"objects":[1]}}', b'{"collection":1,"tech":null}'])
def test_junk_bodies(alice, path, raw):
    s, _, data = alice.ask('POST', path, raw=raw)
    assert s in (400, 422), data
    assert json.loads(data)['http_status'] == str(s)


def test_body_over_the_limit(hub, alice):
    s = hub.socket()
    s.sendall(('POST /v1/answers HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n'
               'Content-Type: application/json\r\n'
               'Content-Length: 10485761\r\n\r\n' % alice.auth).encode())
    assert b' 413 ' in s.recv(4096)
    s.close()
    # chunked: the length is not told beforehand
    s = hub.socket()
    s.sendall(('POST /v1/answers HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n'
               'Content-Type: application/json\r\n'
               'Transfer-Encoding: chunked\r\n\r\n' % alice.auth).encode())
    for _ in range(11):
        s.sendall(b'100000\r\n' + b' ' * 0x100000 + b'\r\n')
    s.sendall(b'0\r\n\r\n')
    assert b' 413 ' in s.recv(4096)
    s.close()


def test_too_many_objects(hub, alice):
    raw = b'{"objects":[' + b','.join([b'1'] * 10001) + b']}'
    assert alice.ask('POST', hub.objects(), raw=raw)[0] == 413
    raw = b'{"answers":[' + b','.join([b'1'] * 10001) + b']}'
    assert alice.ask('POST', '/v1/answers', raw=raw)[0] == 413


def test_raw_octets(hub):
    for junk in (b'\x00' * 100, b'GET\r\n\r\n', b'\x16\x03\x01\x02\x00',
                 random.Random(1).randbytes(3000), b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 9999):
        s = hub.socket()
        try:
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            s.recv(4096)
        except OSError:
            pass
        s.close()
    s = socket.create_connection(('localhost', hub.port))
    s.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')  # clear text to a TLS port
    s.close()
    assert Client(hub).get('/healthz') == {'status': 'ok'}


def test_rate(tmp_path):
    h = Hub(tmp_path / 'home', rate='2')
    try:
        m = h.join('Fast')
        seen = []
        for _ in range(40):
            s, head, _ = m.ask('GET', '/taxii2/')
            seen.append(s)
            if s == 429:
                assert int(head['Retry-After']) > 0
        assert seen.count(200) >= 20 and 429 in seen
    finally:
        h.stop()


# --- events -----------------------------------------------------------------

def test_events_tell_and_resume(hub, alice, bob):
    st = Stream(bob)
    event, place, data = st.next()
    assert event == 'hello' and data == {'seq': int(place)}
    objects = [indicator() for _ in range(5)]
    alice.post(hub.objects(), {'objects': objects})
    got = [st.next() for _ in objects]
    assert [d['id'] for _, _, d in got] == [o['id'] for o in objects]
    for event, place, d in got:
        assert event == 'object' and int(place) == d['seq']
        assert d['type'] == 'indicator'
        assert d['collection'] == hub.collection
        assert d['version'].startswith('2017-08-20T')
    st.close()
    alice.post(hub.objects(), {'objects': [indicator()]})
    for kw in ({'after': got[1][1]}, {'last_id': got[1][1]}):
        st = Stream(bob, **kw)
        rest = [st.next()[2]['id'] for _ in range(4)]
        assert rest[:3] == [o['id'] for o in objects[2:]]
        st.close()
    bob.get('/v1/events?after=x', 400)


def test_events_of_others_stay_away(hub, alice, bob, csirt):
    st, authority = Stream(bob), Stream(csirt)
    st.next(), authority.next()
    red, amber = indicator(marking=RED), indicator(marking=AMBER)
    alice.post(hub.objects(), {'objects': [red]})
    alice.post('/v1/answers', {'answers': [
        answer(alice.member, red['id'], 'seen', 3)]}, 200)
    alice.post(hub.objects(), {'objects': [amber]})
    mine = answer(alice.member, amber['id'], 'seen', 3)
    alice.post('/v1/answers', {'answers': [mine]}, 200)
    last = indicator(marking=GREEN)
    alice.post(hub.objects(), {'objects': [last]})
    assert [st.next()[2]['id'] for _ in range(2)] == [amber['id'], last['id']]
    # red is for those it names, and so is an answer about it
    assert [authority.next()[2]['id'] for _ in range(3)] == \
        [amber['id'], mine['id'], last['id']]
    st.close(), authority.close()


def test_stream_ends_with_its_key(hub):
    m = hub.join('Cut off')
    st = Stream(m)
    st.next()
    hub.cli('member', 'revoke', 'Cut off')
    assert st.next() is None


def test_heartbeat(hub, bob):
    st = Stream(bob)
    st.next()
    assert st.r.readline() == b': heartbeat\n'
    st.close()


def test_streams_per_key(hub):
    m = hub.join('Greedy')
    streams = [Stream(m) for _ in range(8)]
    assert all(s.status == 200 for s in streams)
    one_more = Stream(m)
    assert one_more.status == 429
    for s in streams + [one_more]:
        s.close()


# --- reports, answers, extent -----------------------------------------------

def make_report(hub, who, n=2, damage=True, marking=AMBER):
    i = [indicator(who.member, marking) for _ in range(n)]
    r = report(who.member, i, marking)
    loss = None
    if damage:
        loss = bundle(report(who.member, i, RED, name='the damage'))
    reply = who.post('/v1/reports', {'collection': hub.collection,
                     'tech': bundle(r, *i), 'damage': loss}, 201)
    assert reply['report'] == r['id']
    assert reply['objects'] == n + 1 + (1 if damage else 0)
    return r, i, loss


def test_report(hub, alice, bob, csirt):
    r, i, loss = make_report(hub, alice)
    lost = loss['objects'][0]
    path = hub.objects()
    assert bob.get(path + r['id'] + '/')['objects'] == [r]
    assert bob.get(path + i[0]['id'] + '/')['objects'] == [i[0]]
    bob.get(path + lost['id'] + '/', 404)
    assert csirt.get(path + lost['id'] + '/')['objects'] == [lost]


def test_report_refusals(hub, alice, bob):
    i = indicator(alice.member)
    good = report(alice.member, [i])
    ask = {'collection': hub.collection, 'tech': bundle(good, i),
           'damage': None}
    bad = dict(ask, tech=bundle(dict(good, created_by_ref=bob.member), i))
    assert 'pseudonym' in alice.post('/v1/reports', bad, 422)['description']
    bad = dict(ask, tech=bundle(good))
    assert 'indicator' in alice.post('/v1/reports', bad, 422)['description']
    alice.post('/v1/reports', dict(ask, tech=bundle(i)), 422)
    alice.post('/v1/reports', dict(ask, tech=bundle(good, good, i)), 422)
    alice.post('/v1/reports', dict(ask, collection=sid('x')[3:]), 404)
    # nothing of a refused report is there
    alice.get(hub.objects() + good['id'] + '/', 404)
    alice.post('/v1/reports', ask, 201)
    # only its author may write a new version of a report
    new = dict(good, modified='2017-08-22T00:00:00.000Z', created_by_ref=None)
    del new['created_by_ref']
    st = bob.post(hub.objects(), {'objects': [new]})
    assert 'originator' in st['failures'][0]['message']


def test_lowering_is_the_originators(hub, alice, bob):
    i = indicator(marking=STRICT)
    alice.post(hub.objects(), {'objects': [i]})
    low = dict(i, modified='2017-08-22T00:00:00.000Z',
               object_marking_refs=[GREEN])
    st = bob.post(hub.objects(), {'objects': [low]})
    assert st['failure_count'] == 1
    assert alice.post(hub.objects(), {'objects': [low]})['success_count'] == 1


def test_answers(hub, alice, bob, csirt):
    r, i, _ = make_report(hub, alice)
    a = [answer(bob.member, i[0]['id'], 'seen', 7),
         answer(bob.member, i[1]['id'])]
    assert bob.post('/v1/answers', {'answers': a}, 200) == \
        {'accepted': 2, 'known': 0}
    assert bob.post('/v1/answers', {'answers': a}, 200) == \
        {'accepted': 0, 'known': 2}
    newer = dict(a[1], modified='2017-08-22T00:00:00.000Z')
    assert bob.post('/v1/answers', {'answers': [newer]}, 200)['accepted'] == 1
    for wrong in (dict(a[0], where_sighted_refs=[alice.member]),
                  dict(a[0], created_by_ref=alice.member),
                  dict(a[0], x_noroshi_answer='perhaps'),
                  dict(a[0], count=-1), dict(a[0], first_seen='never'),
                  dict(a[0], sighting_of_ref=sid('malware')),
                  dict(a[0], x_noroshi_coverage={'coverage': 7}),
                  answer(bob.member, sid('indicator')), 5):
        reply = bob.post('/v1/answers', {'answers': [wrong]}, 200)
        assert reply['accepted'] == 0 and len(reply['refused']) == 1
    # the id of another member's answer is not to be had
    stolen = dict(answer(alice.member, i[0]['id']), id=a[0]['id'])
    alice.post('/v1/answers', {'answers': [stolen]}, 403)
    path = hub.objects() + a[0]['id'] + '/'
    assert csirt.get(path)['objects'] == [a[0]]
    alice.get(path, 404)


def extent_of(client, report_id):
    reports = client.get('/v1/extent?report=' + report_id)['reports']
    return reports[0] if reports else None


def test_extent(tmp_path):
    h = Hub(tmp_path / 'home')
    try:
        members = [h.join('m%d' % k, '--sector',
                          'energy' if k < 12 else 'finance')
                   for k in range(20)]
        csirt = h.account('csirt', 'csirt')
        r, i, _ = make_report(h, members[0])
        for k, m in enumerate(members[:16]):
            what = 'seen' if k < 7 else 'not-seen'
            cover = 0.1 if k >= 14 else 0.9
            m.post('/v1/answers', {'answers': [
                answer(m.member, i[0]['id'], what, 5 if k < 7 else 0, cover),
                answer(m.member, i[1]['id'], 'not-seen', 0, cover)]}, 200)
        # one of two indicators is no answer of the organisation yet
        members[16].post('/v1/answers', {'answers': [
            answer(members[16].member, i[0]['id'], 'seen', 5)]}, 200)
        e = extent_of(csirt, r['id'])
        assert [e[k] for k in ('asked', 'answered', 'seen', 'not_seen',
                               'cannot_say')] == [20, 16, 7, 7, 2]
        assert len(e['members']) == 20
        assert e['earliest'].startswith('2016-05-01')
        mine = extent_of(members[3], r['id'])
        assert 'members' not in mine
        assert mine['asked'] == 20 and mine['cannot_say'] is None
        text = json.dumps(mine)
        assert not any(m.member in text for m in members)
        assert extent_of(csirt, sid('report')) is None
    finally:
        h.stop()


# --- the gate ---------------------------------------------------------------

def everything(client, collections, ids):
    """All octets, headers included, that a client can get out of the hub."""
    out = []

    def take(path, headers=None):
        s, h, data = client.ask('GET', path, headers=headers)
        out.append(str(h).encode() + data)
    root = '/taxii2/root/collections/'
    take('/taxii2/'), take('/taxii2/root/'), take(root)
    take('/v1/extent'), take('/metrics'), take('/v1/hub')
    for c in collections:
        take(root + c + '/')
        for q in ('objects/', 'manifest/', 'objects/?match[version]=all',
                  'objects/?limit=1', 'manifest/?match[type]=sighting'):
            take(root + c + '/' + q)
        for i in ids:
            take(root + c + '/objects/' + i + '/')
            take(root + c + '/objects/' + i + '/versions/')
    for i in ids:
        take('/v1/extent?report=' + i)
    st = Stream(client, after=0)
    end = client.hub.marker
    while True:
        e = st.next()
        out.append(json.dumps(e).encode())
        if e[2]['id'] == end:
            break
    st.close()
    return b'\n'.join(out)


def test_no_forbidden_octet(tmp_path):
    """Random members, groups, markings and references: whatever a member may
    not see, neither its id nor its text is in anything it can get."""
    rnd = random.Random(int(os.environ.get('SEED', '7')))
    h = Hub(tmp_path / 'home')
    try:
        people = [h.join('m%d' % k, '--sector', 's%d' % (k % 3))
                  for k in range(6)]
        csirt = h.account('csirt', 'csirt')
        groups, reads = [h.collection], {h.collection: {0, 1, 2, 3, 4, 5}}
        for g in range(3):
            who = set(rnd.sample(range(6), 3))
            names = ','.join('m%d' % k for k in who)
            c = h.cli('collection', 'add', 'secret group %d' % g, '--read',
                      names, '--write', names).strip()
            groups.append(c)
            reads[c] = who
        facts, ids, told = [], [], set()
        for n in range(60):
            c = rnd.choice(groups)
            k = rnd.choice(sorted(reads[c]))
            mark = rnd.choice([CLEAR, GREEN, AMBER, STRICT, RED, None])
            secret = 'secret-%d-%d' % (n, rnd.getrandbits(60))
            o = indicator(marking=mark, description=secret)
            may = {k} if mark == RED else set(reads[c])
            if mark == RED and rnd.random() < .5:
                named = rnd.randrange(6)
                o['x_noroshi_audience'] = [people[named].member,
                                           people[-1].member]
                if 5 in reads[c]:
                    may |= {5}
                told |= {(k, named), (k, 5)}
                if named in reads[c]:
                    may |= {named}
            if facts and rnd.random() < .4:
                refs = rnd.sample([f[0] for f in facts],
                                  min(len(facts), 3))
                o = {'type': 'report', 'spec_version': '2.1',
                     'id': sid('report'), 'name': secret,
                     'created': o['created'], 'modified': o['modified'],
                     'published': '2017-08-20T00:00:00Z',
                     'object_refs': refs + [sid('malware')]}
                if mark:
                    o['object_marking_refs'] = [mark]
                may = {k} if mark == RED else set(reads[c])
            elif facts and rnd.random() < .3:
                target = rnd.choice([f for f in facts if not f[
                    0].startswith('relationship')])
                o = {'type': 'relationship', 'spec_version': '2.1',
                     'id': sid('relationship'), 'created': o['created'],
                     'modified': o['modified'], 'description': secret,
                     'relationship_type': 'indicates',
                     'source_ref': target[0], 'target_ref': sid('malware')}
                if mark:
                    o['object_marking_refs'] = [mark]
                may = {k} if mark == RED else set(reads[c])
            st = people[k].post(h.objects(c), {'objects': [o]})
            assert st['success_count'] == 1, st
            facts.append((o['id'], secret, may, mark))
            ids.append(o['id'])
        i = [indicator(people[0].member, AMBER)]
        r = report(people[0].member, i)
        lost = report(people[0].member, i, RED, name='damage-of-zero')
        people[0].post('/v1/reports', {'collection': h.collection,
                       'tech': bundle(r, *i), 'damage': bundle(lost)}, 201)
        for k, p in enumerate(people):
            p.post('/v1/answers', {'answers': [answer(
                p.member, i[0]['id'], 'seen', 313370 + k)]}, 200)
        end = indicator(marking=CLEAR)
        people[0].post(h.objects(), {'objects': [end]})
        h.marker = end['id']
        seen_some = 0
        for k, p in enumerate(people):
            text = everything(p, groups, ids[::7] + [r['id'], lost['id']])
            for fid, secret, may, mark in facts:
                if k in may:
                    seen_some += secret.encode() in text
                    continue
                assert fid.encode() not in text, (k, fid, mark)
                assert secret.encode() not in text, (k, fid, mark)
            for c in groups:
                if k not in reads[c]:
                    assert c.encode() not in text
                    assert b'secret group %d' % (groups.index(c) - 1) \
                        not in text
            if k != 0:
                assert b'damage-of-zero' not in text
                assert lost['id'].encode() not in text
            for other in people:
                if other is not p and other is not people[0] and \
                        (k, people.index(other)) not in told:
                    assert other.member.encode() not in text
            assert b'31337' not in text
        assert seen_some > 50
        text = everything(csirt, groups, ids[:3])
        for fid, secret, may, mark in facts:
            if mark == RED:
                assert fid.encode() not in text
        assert b'damage-of-zero' in text
    finally:
        assert h.stop() == 0
    h.cli('check')


# --- keeping ----------------------------------------------------------------

def test_backup_restore_check(tmp_path):
    h = Hub(tmp_path / 'home')
    m = h.join('Kept')
    kept, later = indicator(), indicator()
    m.post(h.objects(), {'objects': [kept]})
    copy = str(tmp_path / 'copy.db')
    h.cli('backup', copy)
    assert 'exists' in h.cli('backup', copy, status=2)
    m.post(h.objects(), {'objects': [later]})
    assert 'holds it' in h.cli('restore', copy, status=2) or True
    h.stop()
    h.cli('restore', copy)
    h.start()
    m = Client(h, m.joined['key'])
    got = [o['id'] for o in m.get(h.objects())['objects']]
    assert got == [kept['id']]
    h.stop()
    assert 'faults\t0' in h.cli('check')
    junk = tmp_path / 'junk.db'
    junk.write_bytes(b'not a store' * 1000)
    h.cli('restore', str(junk), status=2)
    data = bytearray(open(h.home + '/hub.db', 'rb').read())
    at = data.find(kept['id'].encode())
    at = data.find(b'203.0.113.7', at)
    data[at:at + 11] = b'203.0.113.8'
    broken = tmp_path / 'broken.db'
    broken.write_bytes(data)
    assert 'damaged' in h.cli('restore', str(broken), status=2)
    assert 'faults\t0' in h.cli('check')


def test_check_finds_what_was_altered(tmp_path):
    sqlite3 = pytest.importorskip('sqlite3')
    h = Hub(tmp_path / 'home')
    m = h.join('Altered')
    for _ in range(4):
        m.post(h.objects(), {'objects': [indicator()]})
    h.stop()
    db = sqlite3.connect(h.home + '/hub.db')
    for change in ("UPDATE fact SET added_us=added_us-1e15 WHERE seq=3",
                   "UPDATE fact SET body='{' WHERE seq=4",
                   "UPDATE fact SET author=77 WHERE seq=5"):
        db.execute(change)
        db.commit()
        run('check', '--home', h.home, status=3)
    db.close()


def test_init_and_home_errors(tmp_path):
    home = str(tmp_path / 'home')
    run('init', '--home', home)
    assert 'already' in run('init', '--home', home, status=2)
    assert stat.S_IMODE(os.stat(home + '/hub.key').st_mode) == 0o600
    for cmd in (['status'], ['check'], ['member', 'ls'],
                ['serve', '--listen', 'localhost:0']):
        assert 'no hub there' in run(*cmd, '--home', str(tmp_path / 'no'),
                                     status=2)
    file = tmp_path / 'file'
    file.write_text('x')
    run('init', '--home', str(file), status=2)
    open(home + '/hub.db', 'wb').write(random.Random(2).randbytes(8192))
    assert 'store' in run('status', '--home', home, status=2)


@pytest.mark.parametrize('args', [
    [], ['nonsense'], ['serve', '--nonsense'], ['member'], ['member', 'x'],
    ['member', 'invite'], ['key', 'add', 'A', '--scope', 'fly'],
    ['key', 'add', 'A', '--days', '99999999'], ['account', 'add', 'A'],
    ['collection', 'add'], ['backup'], ['restore'], ['check', 'x'],
    ['serve', '--cert', 'x'], ['serve', '--sandbox', 'maybe'],
    ['member', 'invite', 'A', '--role', 'king']])
def test_usage(args):
    assert run(*args, status=2)


def test_http_only_on_loopback(tmp_path):
    home = str(tmp_path / 'home')
    run('init', '--home', home)
    e = run('serve', '--home', home, '--http', '--listen', '0.0.0.0:0',
            status=2)
    assert 'loopback' in e
    e = run('serve', '--home', home, '--listen', 'nonsense', status=2)
    assert 'HOST:PORT' in e
    h = Hub(home, http=True, init=False)
    m = h.join('Plain')
    assert m.get('/taxii2/')['default'].startswith('http://localhost:')
    h.stop()


def test_one_server_per_home(hub):
    e = run('serve', '--home', hub.home, '--listen', 'localhost:0', status=2)
    assert 'lock' in e


def test_own_certificate(tmp_path):
    home, other = str(tmp_path / 'home'), str(tmp_path / 'other')
    run('init', '--home', home)
    run('init', '--home', other)
    e = run('serve', '--home', home, '--listen', 'localhost:0', '--cert',
            other + '/hub.pem', '--key', home + '/hub.key', status=2)
    assert 'certificate' in e
    h = Hub(home, init=False, opts=['--cert', other + '/hub.pem', '--key',
                                    other + '/hub.key'])
    h.tls = ssl.create_default_context(cafile=other + '/hub.pem')
    assert Client(h).get('/healthz')['status'] == 'ok'
    h.stop()


def test_sandbox(hub):
    status = open('/proc/%d/status' % hub.proc.pid).read()
    assert 'Seccomp:\t2' in status


def test_read_only_store(tmp_path):
    home = str(tmp_path / 'home')
    run('init', '--home', home)
    os.chmod(str(tmp_path), 0o755)
    for root, dirs, files in os.walk(home):
        for f in files:
            os.chmod(os.path.join(root, f), 0o444)
        os.chmod(root, 0o555)
    if os.getuid() == 0:
        p = subprocess.run(
            ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
             __import__('hub_harness').HUB, 'member', 'invite', 'X', '--home',
             home, '--address', 'h:1'], capture_output=True, text=True)
        if 'Permission denied' in p.stderr and 'execute' in p.stderr:
            pytest.skip('the build is not readable to others')
    else:
        p = subprocess.run([__import__('hub_harness').HUB, 'member', 'invite',
                            'X', '--home', home, '--address', 'h:1'],
                           capture_output=True, text=True)
    assert p.returncode == 2 and 'store' in p.stderr, p.stderr


def test_locked_store(tmp_path):
    sqlite3 = pytest.importorskip('sqlite3')
    h = Hub(tmp_path / 'home')
    m = h.join('Waits')
    db = sqlite3.connect(h.home + '/hub.db', isolation_level=None)
    db.execute('BEGIN IMMEDIATE')
    s, head, data = m.ask('POST', h.objects(), {'objects': [indicator()]})
    assert s == 503 and head['Retry-After'], data
    m.get(h.objects())  # readers go on
    assert 'lock' in h.cli('member', 'invite', 'Y', status=2)
    db.execute('ROLLBACK')
    db.close()
    m.post(h.objects(), {'objects': [indicator()]})
    h.stop()


def test_disk_full(tmp_path):
    """A full disk refuses what is new and loses nothing acknowledged."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs',
                       str(disk)], capture_output=True).returncode != 0:
        pytest.skip('needs the right to mount')
    h = None
    try:
        h = Hub(disk / 'home', log=str(tmp_path / 'log'))
        m = h.join('Full')
        path, acked, full = h.objects(), set(), 0
        while full < 3:
            batch = [indicator(description='x' * 2000) for _ in range(20)]
            s, _, data = m.ask('POST', path, {'objects': batch})
            if s == 202:
                acked |= {o['id'] for o in batch}
                assert len(acked) < 3000
            else:
                assert s == 507, data
                assert str(disk) not in data.decode()
                full += 1
        got, place = set(), ''
        while True:
            p = m.get(path + '?limit=500' + place)
            got |= {o['id'] for o in p['objects']}
            if not p['more']:
                break
            place = '&next=' + p['next']
        assert got == acked and acked
        assert 'disk full' in open(h.log).read()
        subprocess.run(['mount', '-o', 'remount,size=30m', str(disk)],
                       check=True)
        m.post(path, {'objects': [indicator()]})
        assert h.stop() == 0
        h.cli('check')
    finally:
        if h:
            h.stop(signal.SIGKILL)
        subprocess.run(['umount', '-l', str(disk)], check=True)


def test_restart_keeps_everything(tmp_path):
    h = Hub(tmp_path / 'home')
    m = h.join('Stays')
    objects = [indicator() for _ in range(10)]
    m.post(h.objects(), {'objects': objects})
    st = Stream(m)
    place = st.next()[2]['seq']
    assert h.stop() == 0
    assert st.next() is None  # a graceful end, not a reset
    h.start()
    m = Client(h, m.joined['key'])
    st = Stream(m, after=place)
    new = indicator()
    m.post(h.objects(), {'objects': [new]})
    assert st.next()[2]['id'] == new['id']
    st.close()
    assert len(m.get(h.objects())['objects']) == 11
    h.stop()


# --- under load -------------------------------------------------------------

def test_many_streams_and_a_burst_of_answers(tmp_path):
    n = int(os.environ.get('STREAMS', '60'))
    resource.setrlimit(resource.RLIMIT_NOFILE, (
        resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    h = Hub(tmp_path / 'home')
    try:
        lead = h.join('lead')
        keys = [h.cli('key', 'add', 'lead').strip() for _ in range(n // 8 + 1)]
        streams = [Stream(Client(h, keys[k // 8])) for k in range(n)]
        assert all(s.next()[0] == 'hello' for s in streams)
        r, i, _ = make_report(h, lead, 45)
        begin = time.monotonic()
        want = {o['id'] for o in i} | {r['id']}
        for s in streams:
            assert {s.next()[2]['id'] for _ in range(46)} == want
        print('told %d streams in %.3f s' % (n, time.monotonic() - begin))
        for s in streams:
            s.close()
    finally:
        assert h.stop() == 0


def storm(h, key, stop, acked):
    c = Client(h, key)
    while not stop.is_set():
        batch = [indicator() for _ in range(3)]
        try:
            st = c.post(h.objects(h.main), {'objects': batch})
        except (OSError, AssertionError, Exception):
            if c.conn:
                c.conn.close()
            c.conn = None
            time.sleep(0.01)
            continue
        assert st['success_count'] == 3
        acked.extend(o['id'] for o in batch)


def test_kill_in_a_storm(tmp_path):
    """kill -9 at random moments: what was acknowledged is there, once."""
    rnd = random.Random(5)
    h = Hub(tmp_path / 'home')
    m = h.join('Storm')
    h.main = h.collection
    acked = []
    for _ in range(KILLS):
        stop = threading.Event()
        threads = [threading.Thread(target=storm, args=(
            h, m.joined['key'], stop, acked)) for _ in range(4)]
        for t in threads:
            t.start()
        time.sleep(0.05 + rnd.random() * 0.3)
        h.stop(signal.SIGKILL)
        stop.set()
        for t in threads:
            t.join()
        h.cli('check')
        h.start()
    m = Client(h, m.joined['key'])
    got, place = [], ''
    while True:
        p = m.get('/taxii2/root/collections/%s/manifest/?limit=1000%s'
                  % (h.main, place))
        got += [r['id'] for r in p.get('objects', [])]
        if not p.get('more'):
            break
        place = '&next=' + p['next']
    print('%d acknowledged, %d there' % (len(acked), len(got)))
    assert len(acked) > 3 * KILLS
    assert len(got) == len(set(got))
    assert set(acked) <= set(got)
    assert h.stop() == 0
    h.cli('check')
