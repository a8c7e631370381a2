"""TAXII 2.1 over sockets: media types, pages, filters, versions, status."""
import re
import threading

import pytest

from hub_harness import (AMBER, CLEAR, GREEN, RED, TAXII, Client, Hub, answer,
                         indicator, sid)


@pytest.fixture(scope='module')
def hub(tmp_path_factory):
    h = Hub(tmp_path_factory.mktemp('hub') / 'home')
    yield h
    assert h.stop() == 0
    h.cli('check')


@pytest.fixture(scope='module')
def alice(hub):
    return hub.join('Alice', '--sector', 'energy')


def fresh(hub, *names):
    """A collection of its own for one test."""
    who = ','.join(names)
    return hub.cli('collection', 'add', sid('c'), '--read', who, '--write',
                   who).strip()


def test_discovery(hub, alice):
    d = alice.get('/taxii2/')
    assert d['title'] == 'Test hub'
    assert d['default'] == d['api_roots'][0]
    assert d['default'] == 'https://localhost:%d/taxii2/root/' % hub.port
    root = alice.get('/taxii2/root/')
    assert root['versions'] == [TAXII]
    assert root['max_content_length'] == 10 << 20
    s, h, _ = alice.ask('GET', '/taxii2/')
    assert h['Content-Type'] == TAXII


def test_collections(hub, alice):
    c = alice.get('/taxii2/root/collections/')['collections']
    mine = [x for x in c if x['title'] == 'Members'][0]
    assert mine['can_read'] and mine['can_write']
    one = alice.get('/taxii2/root/collections/%s/' % mine['id'])
    assert one == mine
    err = alice.get('/taxii2/root/collections/%s/' % sid('x')[3:], 404)
    assert err['http_status'] == '404'


@pytest.mark.parametrize('accept,status', [
    (TAXII, 200), ('application/taxii+json', 200), ('*/*', 200),
    ('application/taxii+json; version=2.1', 200),
    ('text/html, application/taxii+json;version=2.1;q=0.5', 200),
    ('application/taxii+json;version=2.0', 406), ('text/html', 406),
    ('application/vnd.oasis.taxii+json', 406)])
def test_accept(alice, accept, status):
    assert alice.ask('GET', '/taxii2/', headers={'Accept': accept})[0] == status


@pytest.mark.parametrize('media,status', [
    (TAXII, 202), ('application/taxii+json', 202),
    ('application/json', 415), ('application/taxii+json;version=2.0', 415),
    ('text/plain', 415)])
def test_content_type(hub, alice, media, status):
    s, _, data = alice.ask('POST', hub.objects(), {'objects': [indicator()]},
                           headers={'Content-Type': media})
    assert s == status, data


@pytest.mark.parametrize('raw,status', [
    (b'', 400), (b'{', 400), (b'[]', 400), (b'{"objects":[]}', 422),
    (b'{"objects":{}}', 422), (b'{}', 422), (b'\x00\xff', 400),
    (b'{"objects":' + b'[' * 200 + b']' * 200 + b'}', 413),
    (b'{"objects":[1],"objects":[2]}', 400)])
def test_bad_envelope(hub, alice, raw, status):
    s, _, data = alice.ask('POST', hub.objects(), raw=raw)
    assert s == status, data
    assert b'"http_status"' in data


def test_bad_objects_fail_alone(hub, alice):
    good = indicator()
    bad = [dict(indicator(), id='indicator--x'), dict(indicator(), type='x'),
           dict(indicator(), modified='yesterday'), 17,
           {'type': 'bundle', 'id': sid('bundle'), 'objects': []}]
    st = alice.post(hub.objects(), {'objects': bad + [good]})
    assert st['status'] == 'complete' and st['total_count'] == 6
    assert st['success_count'] == 1 and st['failure_count'] == 5
    assert st['pending_count'] == 0
    assert st['successes'][0]['id'] == good['id']
    assert all(f['message'] for f in st['failures'])
    again = alice.get('/taxii2/root/status/%s/' % st['id'])
    assert again == st
    bob = hub.join('Bob of status')
    bob.get('/taxii2/root/status/%s/' % st['id'], 404)


def test_methods_and_paths(hub, alice):
    s, h, _ = alice.ask('DELETE', hub.objects() + sid('indicator') + '/')
    assert s == 405 and h['Allow'] == 'GET'
    s, h, _ = alice.ask('PUT', hub.objects(), raw=b'{}')
    assert s == 405 and 'POST' in h['Allow']
    for path in ('/', '/taxii2/other/', '/taxii2/root/x/', '/' + 'a/' * 50,
                 '/v1/', '/..%2f..%2fetc/passwd'):
        assert alice.ask('GET', path)[0] == 404


@pytest.mark.parametrize('query', [
    'limit=0', 'limit=-1', 'limit=x', 'next=x', 'next=-4',
    'added_after=yesterday', 'match[version]=newest',
    'match[id]=' + ','.join(['a'] * 101)])
def test_bad_query(hub, alice, query):
    e = alice.get(hub.objects() + '?' + query, 400)
    assert e['title'] and e['description']


def test_empty(hub, alice):
    c = fresh(hub, 'Alice')
    s, h, data = alice.ask('GET', hub.objects(c))
    assert (s, data) == (200, b'{}')
    assert 'X-TAXII-Date-Added-First' not in h


def page_all(client, path, limit, list_name='objects'):
    out, q = [], ''
    while True:
        p = client.get('%s?limit=%d%s' % (path, limit, q))
        out += p.get(list_name, [])
        assert len(p.get(list_name, [])) <= limit
        if not p.get('more'):
            return out
        q = '&next=' + p['next']


def test_pages(hub, alice):
    c = fresh(hub, 'Alice')
    objects = [indicator() for _ in range(25)]
    alice.post(hub.objects(c), {'objects': objects})
    got = page_all(alice, hub.objects(c), 7)
    assert [o['id'] for o in got] == [o['id'] for o in objects]
    assert got == objects
    records = page_all(alice, '/taxii2/root/collections/%s/manifest/' % c, 10)
    assert [r['id'] for r in records] == [o['id'] for o in objects]
    added = [r['date_added'] for r in records]
    assert added == sorted(set(added))
    s, h, _ = alice.ask('GET', hub.objects(c) + '?limit=10')
    assert h['X-TAXII-Date-Added-First'] == added[0]
    assert h['X-TAXII-Date-Added-Last'] == added[9]
    rest = alice.get(hub.objects(c) + '?added_after=' + added[9])
    assert [o['id'] for o in rest['objects']] == \
        [o['id'] for o in objects[10:]]


def test_filters(hub, alice):
    c = fresh(hub, 'Alice')
    i, j = indicator(), indicator()
    ip = {'type': 'ipv4-addr', 'spec_version': '2.1', 'value': '203.0.113.9',
          'id': 'ipv4-addr--efcd5e80-570d-4131-b213-62cb18eaa6a8'}
    assert alice.post(hub.objects(c), {'objects': [i, j, ip]})[
        'failure_count'] == 0

    def ids(q):
        return {o['id'] for o in alice.get(hub.objects(c) + q).get(
            'objects', [])}
    assert ids('?match[type]=ipv4-addr') == {ip['id']}
    assert ids('?match[type]=ipv4-addr,indicator') == {i['id'], j['id'],
                                                      ip['id']}
    assert ids('?match[id]=%s,%s' % (i['id'], ip['id'])) == {i['id'], ip['id']}
    assert ids('?match[spec_version]=2.1') == {i['id'], j['id'], ip['id']}
    assert ids('?match[spec_version]=2.0') == set()
    assert ids('?match[id]=%s&match[type]=ipv4-addr' % i['id']) == set()
    # an object without a version has that of its adding
    r = alice.get('/taxii2/root/collections/%s/manifest/?match[type]=ipv4-addr'
                  % c)['objects'][0]
    assert r['version'] == r['date_added']


def test_versions(hub, alice):
    c = fresh(hub, 'Alice')
    times = ['2017-08-0%dT00:00:00.000Z' % d for d in (2, 4, 3)]
    i = indicator(modified=times[0])
    for t in times:
        alice.post(hub.objects(c), {'objects': [dict(i, modified=t)]})
    path = hub.objects(c) + i['id'] + '/'

    def got(q):
        return [o['modified'] for o in alice.get(path + q).get('objects', [])]
    assert got('') == [times[1]]
    assert got('?match[version]=last') == [times[1]]
    assert got('?match[version]=first') == [times[0]]
    assert got('?match[version]=all') == times
    assert got('?match[version]=first,last') == times or \
        got('?match[version]=first,last') == times[:2]
    assert got('?match[version]=' + times[2]) == [times[2]]
    assert len(alice.get(path + 'versions/')['versions']) == 3
    alice.get(hub.objects(c) + sid('indicator') + '/', 404)
    alice.get(hub.objects(c) + sid('indicator') + '/versions/', 404)


def test_posting_twice_is_once(hub, alice):
    c = fresh(hub, 'Alice')
    i = indicator()
    for _ in range(3):
        assert alice.post(hub.objects(c), {'objects': [i, i]})[
            'success_count'] == 2
    assert len(alice.get(hub.objects(c))['objects']) == 1


def test_rights(hub, alice):
    c = fresh(hub, 'Alice')
    carol = hub.join('Carol')
    alice.post(hub.objects(c), {'objects': [indicator()]})
    carol.get(hub.objects(c), 404)
    carol.post(hub.objects(c), {'objects': [indicator()]}, 404)
    w = hub.cli('collection', 'add', sid('w'), '--write', 'Carol').strip()
    carol.post(hub.objects(w), {'objects': [indicator()]})
    carol.get(hub.objects(w), 403)
    r = hub.cli('collection', 'add', sid('r'), '--read', 'Carol').strip()
    carol.post(hub.objects(r), {'objects': [indicator()]}, 403)
    # "*" is no named organisation: amber does not go there
    a = hub.cli('collection', 'add', sid('a'), '--read', '*', '--write',
                'Alice').strip()
    objects = [indicator(marking=m) for m in (CLEAR, GREEN, AMBER, RED, None)]
    alice.post(hub.objects(a), {'objects': objects})
    got = [o['id'] for o in carol.get(hub.objects(a))['objects']]
    assert got == [o['id'] for o in objects[:2]]
    got = [o['id'] for o in alice.get(hub.objects(a))['objects']]
    assert got == [o['id'] for o in objects if RED not in
                   o.get('object_marking_refs', [])] or len(got) == 5


def test_paging_under_posts(hub, alice):
    """A reader that pages while others post misses and repeats nothing."""
    c = fresh(hub, 'Alice')
    sent, wrong = [], []
    lock = threading.Lock()

    def post():
        mine = Client(hub, alice.joined['key'])
        for _ in range(25):
            batch = [indicator() for _ in range(4)]
            mine.post(hub.objects(c), {'objects': batch})
            with lock:
                sent.extend(o['id'] for o in batch)

    threads = [threading.Thread(target=post) for _ in range(4)]
    for t in threads:
        t.start()
    got, place = [], ''
    reader = Client(hub, alice.joined['key'])
    manifest = '/taxii2/root/collections/%s/manifest/?limit=13' % c
    while True:
        alive = any(t.is_alive() for t in threads)
        p = reader.get(manifest + place)
        for r in p.get('objects', []):
            got.append(r['id'])
            place = '&added_after=' + r['date_added']
        if not alive and not p.get('more'):
            break
    assert not wrong
    assert len(got) == len(set(got)) == 400
    assert set(got) == set(sent)


def test_answers_are_no_pages_for_members(hub, alice):
    c = fresh(hub, 'Alice')
    i = indicator()
    alice.post(hub.objects(c), {'objects': [i]})
    assert alice.post('/v1/answers', {'answers': [answer(alice.member,
                      i['id'])]}, 200)['accepted'] == 1
    assert [o['type'] for o in alice.get(hub.objects(c))['objects']] == \
        ['indicator']
    csirt = hub.account('csirt', 'csirt')
    assert sorted(o['type'] for o in csirt.get(hub.objects(c))['objects']) == \
        ['indicator', 'sighting']


def test_large_pages_are_bounded(hub, alice):
    c = fresh(hub, 'Alice')
    for _ in range(3):
        st = alice.post(hub.objects(c), {
            'objects': [indicator() for _ in range(500)]})
        assert st['success_count'] == 500
    p = alice.get(hub.objects(c) + '?limit=100000')
    assert len(p['objects']) == 1000 and p['more']
    assert re.match(r'\d+$', p['next'])
    assert len(page_all(alice, hub.objects(c), 1000)) == 1500
