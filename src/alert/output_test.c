/* Outputs that are more than rows: sightings, syslog, commands. */
#include "alert/alert_test.h"

#include "stix/stix.h"
#include "json/json.h"

/* --- sightings --- */

static void
check_bundle(struct nr_arena *mem, struct nr_str line, size_t sightings,
    size_t objects)
{
    const struct nr_json *j = NULL, *list;
    struct nr_diag d = { 0 };
    struct nr_str type;
    size_t seen = 0;

    assert_int_equal(nr_json_parse(mem, nr_bytes_of(line), &j, &d), NR_OK);
    if (nr_stix_check(j, &d) != NR_OK)
        fail_msg("%s: %s in %.*s", d.name, d.what, NR_FMT(line));
    list = nr_json_get(j, NR_STR("objects"));
    for (const struct nr_json *o = list->child; o; o = o->next)
        seen += nr_json_get_str(o, NR_STR("type"), &type) &&
            nr_str_eq(type, NR_STR("sighting"));
    assert_int_equal(seen, sightings);
    assert_int_equal(list->n, objects);
}

static void
sighting_bundles(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_arena mem;
    struct nr_alert *a;
    struct nr_str line, rest;
    struct nr_buf kept;
    struct sample s;
    char path[64];

    (void)state;
    nr_arena_init(&mem, ROOM);
    nr_buf_init(&kept, ROOM);
    (void)close(open_temp(path));
    conf.follow = true;
    a = alert_to(&conf, NR_ALERT_STIX, path);
    for (uint64_t n = 1; n <= 9; n++) {
        (void)hit_at(&s, n,
            n % 3 == 0       ? NR_KIND_IPV4
                : n % 3 == 1 ? NR_KIND_CIDR4
                             : NR_KIND_DOMAIN,
            n == 2 ? NR_ACTION_DENIED : NR_ACTION_ALLOWED);
        s.hit.indicator.tlp = n % 3 == 1 ? NR_TLP_GREEN : NR_TLP_NONE;
        if (n % 3 == 0) {
            s.hit.indicator.said.id = NR_STR(
                "indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2");
            s.hit.indicator.tlp = NR_TLP_RED;
            s.hit.indicator.pap = NR_PAP_AMBER;
        }
        assert_int_equal(nr_alert_hit(a, &s.hit, NULL), NR_OK);
    }
    /* no state while a bundle is open */
    assert_int_equal(nr_alert_save(a, &kept, NULL), NR_EBUSY);
    assert_int_equal(kept.n, 0);
    w.now_us += NR_ALERT_BUNDLE_US;
    assert_int_equal(nr_alert_save(a, &kept, NULL), NR_OK);
    hits(a, 10, 11);
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);
    line = nr_str_cut(read_all(&mem, path), '\n', &rest);
    /* 2 indicators, 2 observables (the address is shared), 3 data, 3 */
    check_bundle(&mem, line, 3, 10);
    assert_non_null(memmem(line.p, line.n, "\"count\":3", 9));
    assert_non_null(memmem(line.p, line.n, "\"x_noroshi_denied\":1", 20));
    assert_non_null(memmem(line.p, line.n, "www.evil.example", 16));
    line = nr_str_cut(rest, '\n', &rest);
    check_bundle(&mem, line, 1, 4);
    assert_int_equal(rest.n, 0);
    (void)unlink(path);
    nr_buf_fini(&kept);
    nr_arena_fini(&mem);
}

/* Every kind gives a sound bundle, also with texts that want escaping. */
static void
sightings_of_all_kinds(void **state)
{
    static const struct {
        const char *kind, *text;
    } v[] = { { "ipv4", "192.0.2.1" }, { "ipv6", "2001:db8::1" },
        { "cidr", "192.0.2.0/24" }, { "cidr", "2001:db8::/32" },
        { "domain", "evil.example" }, { "url", "http://evil.example/a'b\\c" },
        { "url", "//evil.example/x" }, { "email", "a@evil.example" },
        { "md5", "d41d8cd98f00b204e9800998ecf8427e" },
        { "sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "sha256",
            "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855" },
        { "cve", "CVE-2017-0199" }, { "filename", "a'b.exe" },
        { "asn", "AS64496" } };
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_arena mem;
    struct nr_alert *a;
    struct nr_str line, rest;
    struct nr_buf key;
    char path[64];

    (void)state;
    nr_arena_init(&mem, ROOM);
    nr_buf_init(&key, ROOM);
    (void)close(open_temp(path));
    a = alert_to(&conf, NR_ALERT_STIX, path);
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct sample s;
        enum nr_kind kind;

        nr_buf_reset(&key);
        assert_int_equal(nr_canon_named(nr_str_of(v[i].kind),
                             nr_str_of(v[i].text), &kind, &key, NULL),
            NR_OK);
        (void)hit_at(&s, i + 1, NR_KIND_IPV4, NR_ACTION_UNKNOWN);
        s.hit.indicator = nr_indicator_of(kind, nr_buf_bytes(&key));
        s.hit.indicator.value = nr_str_of(v[i].text);
        s.hit.observed = NR_BYTES("\xff no such thing");
        s.record.time_us = NR_TIME_NONE;
        assert_int_equal(nr_alert_hit(a, &s.hit, NULL), NR_OK);
    }
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);
    line = nr_str_cut(read_all(&mem, path), '\n', &rest);
    /* all but three have observables: a CVE, an AS number, half a URL */
    check_bundle(&mem, line, 14, 14 * 2 + 11 * 2);
    (void)unlink(path);
    nr_buf_fini(&key);
    nr_arena_fini(&mem);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(sighting_bundles),
        NR_TEST(sightings_of_all_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
