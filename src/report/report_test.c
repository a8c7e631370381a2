#include "base/test.h"
#include "report/report.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY ((size_t)64 << 20)

static const char form[] =
    "{\"title\":\"Beacons\",\"summary\":\"Our server at 本社 was entered\","
    "\"discovered\":\"2017-08-20 09\",\"running\":\"partly\","
    "\"availability\":80,\"tlp_tech\":\"green\",\"org\":\"Kumo Works\","
    "\"contact\":\"03-0000-0000\",\"identity_scope\":\"hub\","
    "\"collection\":\"c1\",\"observables\":["
    "{\"value\":\"kot[.]gogoblog[.]net\",\"role\":\"c2\","
    "\"first_seen\":\"2016-10-04\",\"last_seen\":\"2017-06-30\",\"count\":3},"
    "{\"type\":\"cidr\",\"value\":\"192.0.2.9/24\"},"
    "{\"value\":\"srv1.kumo.example\",\"role\":\"victim-asset\"}]}";

static const struct nr_report_by by = {
    .member = { "identity--b2b3b4b5-0000-4000-8000-000000000001", 46 },
    .created_s = 1503273600,
};

static enum nr_err
parse(struct nr_arena *a, const char *text, struct nr_report_form *f,
    struct nr_diag *d)
{
    return nr_report_form_parse(a, nr_bytes_of(nr_str_of(text)), 32400, f, d);
}

static void
test_times(void **state)
{
    static const struct {
        const char *in;
        enum nr_err err;
        int64_t t;
        enum nr_fidelity f;
    } cases[] = {
        { "2017", NR_OK, 1483228800, NR_FIDELITY_YEAR },
        { "2017-08", NR_OK, 1501545600, NR_FIDELITY_MONTH },
        { "2017/8/21", NR_OK, 1503273600, NR_FIDELITY_DAY },
        { "2017-08-21T09", NR_OK, 1503306000, NR_FIDELITY_HOUR },
        { "2017-08-21 09:30", NR_OK, 1503307800, NR_FIDELITY_MINUTE },
        { "2017-08-21T09:30:05.25Z", NR_OK, 1503307805, NR_FIDELITY_SECOND },
        { "2017-08-21T09:30+09:00", NR_OK, 1503275400, NR_FIDELITY_MINUTE },
        { "unknown", NR_OK, NR_TIME_NONE, NR_FIDELITY_UNKNOWN },
        { "不明", NR_OK, NR_TIME_NONE, NR_FIDELITY_UNKNOWN },
        { "", NR_OK, NR_TIME_NONE, NR_FIDELITY_UNKNOWN },
        { "2017-13-01", NR_EFORMAT, 0, 0 },
        { "yesterday", NR_EFORMAT, 0, 0 },
        { "2017-08-21x", NR_EFORMAT, 0, 0 },
        { "2017-08-", NR_EFORMAT, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum nr_fidelity f = NR_FIDELITY_UNKNOWN;
        int64_t t = 0;

        CHECK_CASE(cases[i].in,
            nr_report_time_parse(nr_str_of(cases[i].in), 0, &t, &f, NULL) ==
                cases[i].err);
        if (!cases[i].err)
            CHECK_CASE(cases[i].in, t == cases[i].t && f == cases[i].f);
    }
}

static void
test_form(void **state)
{
    struct nr_report_form f;
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, MEMORY);
    assert_int_equal(parse(&a, form, &f, NULL), NR_OK);
    assert_int_equal(f.discovered_s, 1503187200); /* 09 in Japan */
    assert_int_equal(f.discovered_fidelity, NR_FIDELITY_HOUR);
    assert_int_equal(f.n_traces, 3);
    assert_true(nr_str_eq(f.traces[0].value, NR_STR("kot.gogoblog.net")));
    assert_int_equal(f.traces[0].role, NR_ROLE_C2);
    assert_int_equal(f.traces[1].kind, NR_KIND_CIDR4);
    assert_true(nr_str_eq(f.traces[1].value, NR_STR("192.0.2.0/24")));
    assert_int_equal(f.traces[1].role, NR_ROLE_UNKNOWN);
    assert_int_equal(f.tlp_tech, NR_TLP_GREEN);
    assert_int_equal(f.tlp_damage, NR_TLP_AMBER_STRICT);
    assert_int_equal(f.pap, NR_PAP_AMBER);
    nr_arena_fini(&a);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *in;
        enum nr_err err;
        const char *name; /* what the message names */
    } cases[] = {
        { "{\"sumary\":\"x\"}", NR_EFORMAT, "sumary" },
        { "{\"summary\":1}", NR_EFORMAT, "summary" },
        { "[]", NR_EFORMAT, "" },
        { "{", NR_ETRUNC, "" },
        { "{\"tlp_tech\":\"blue\"}", NR_EFORMAT, "tlp_tech" },
        { "{\"pap\":\"amber+strict\"}", NR_EFORMAT, "pap" },
        { "{\"availability\":101}", NR_EFORMAT, "availability" },
        { "{\"running\":\"maybe\"}", NR_EFORMAT, "running" },
        { "{\"discovered\":\"then\"}", NR_EFORMAT, "discovered" },
        { "{\"identity_scope\":\"all\"}", NR_EFORMAT, "identity_scope" },
        { "{\"observables\":[{\"role\":\"c2\"}]}", NR_EFORMAT, "" },
        { "{\"observables\":[{\"value\":\"evil.example\",\"role\":\"boss\"}]}",
            NR_EFORMAT, "role" },
        { "{\"observables\":[{\"value\":\"not a value\"}]}", NR_EFORMAT,
            "not a value" },
        { "{\"observables\":[{\"type\":\"ipv4\",\"value\":\"1.2.3.256\"}]}",
            NR_EFORMAT, "1.2.3.256" },
        { "{\"observables\":[{\"value\":\"evil.example\"},{\"value\":"
          "\"EVIL.example\"}]}",
            NR_EEXIST, "evil.example" },
        { "{\"observables\":[{\"value\":\"evil.example\",\"first_seen\":"
          "\"2017\",\"last_seen\":\"2016\"}]}",
            NR_EFORMAT, "evil.example" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_report_form f;
        struct nr_diag d = { 0 };
        struct nr_arena a;

        nr_arena_init(&a, MEMORY);
        CHECK_CASE(cases[i].in, parse(&a, cases[i].in, &f, &d) == cases[i].err);
        CHECK_CASE(cases[i].in, d.what != NULL);
        CHECK_CASE(cases[i].in, strcmp(d.name, cases[i].name) == 0);
        nr_arena_fini(&a);
    }
}

static void
test_add_trace(void **state)
{
    static const struct {
        const char *in;
        enum nr_err err;
        enum nr_role role;
        enum nr_kind kind;
    } cases[] = {
        { "hxxp://evil[.]example/a", NR_OK, NR_ROLE_UNKNOWN, NR_KIND_URL },
        { "evil.example c2", NR_OK, NR_ROLE_C2, NR_KIND_DOMAIN },
        { "filename a.exe malware", NR_OK, NR_ROLE_MALWARE, NR_KIND_FILENAME },
        { "  md5   d41d8cd98f00b204e9800998ecf8427e ", NR_OK, NR_ROLE_UNKNOWN,
            NR_KIND_MD5 },
        { "evil.example boss", NR_EFORMAT, 0, 0 },
        { "a b c d", NR_EFORMAT, 0, 0 },
        { "", NR_EFORMAT, 0, 0 },
        { "localhost", NR_EFORMAT, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_report_form f = nr_report_form_empty();
        struct nr_diag d = { 0 };
        struct nr_arena a;

        nr_arena_init(&a, MEMORY);
        CHECK_CASE(cases[i].in,
            nr_report_add_trace(&a, &f, nr_str_of(cases[i].in), &d) ==
                cases[i].err);
        CHECK_CASE(cases[i].in, f.n_traces == (cases[i].err ? 0 : 1));
        if (!cases[i].err)
            CHECK_CASE(cases[i].in,
                f.traces[0].role == cases[i].role &&
                    f.traces[0].kind == cases[i].kind);
        nr_arena_fini(&a);
    }
}

/* Nothing in the technical half may tell who reports. */
static void
test_deidentified(void **state)
{
    static const struct {
        const char *add; /* a trace more */
        const char *title;
        enum nr_err err;
    } cases[] = {
        { NULL, "Beacons", NR_OK },
        { "mail.kumo.example c2", "Beacons", NR_EDENIED },
        { "kumo.example", "Beacons", NR_EDENIED },
        { "boss@kumo.example", "Beacons", NR_EDENIED },
        { "http://www.kumo.example/x", "Beacons", NR_EDENIED },
        { "notkumo.example", "Beacons", NR_OK },
        { "kumo.example.net", "Beacons", NR_EDENIED },
        { NULL, "Kumo Works was hit", NR_EDENIED },
        { NULL, "seen at KUMO.example", NR_EDENIED },
    };
    static const struct nr_str own[] = { { "kumo.example", 12 } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_report_form f;
        struct nr_diag d = { 0 };
        struct nr_arena a;

        nr_arena_init(&a, MEMORY);
        assert_int_equal(parse(&a, form, &f, NULL), NR_OK);
        f.title = nr_str_of(cases[i].title);
        if (cases[i].add)
            assert_int_equal(nr_report_add_trace(&a, &f,
                                 nr_str_of(cases[i].add), NULL),
                NR_OK);
        CHECK_CASE(cases[i].add ? cases[i].add : cases[i].title,
            nr_report_check(&f, own, 1, &d) == cases[i].err);
        nr_arena_fini(&a);
    }
}

static void
test_incomplete(void **state)
{
    struct nr_report_form f = nr_report_form_empty();
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, MEMORY);
    assert_int_equal(nr_report_check(&f, NULL, 0, NULL), NR_EFORMAT);
    f.summary = NR_STR("x");
    assert_int_equal(nr_report_check(&f, NULL, 0, NULL), NR_EFORMAT);
    assert_int_equal(nr_report_add_trace(&a, &f,
                         NR_STR("srv.example victim-asset"), NULL),
        NR_OK);
    assert_int_equal(nr_report_check(&f, NULL, 0, NULL), NR_EFORMAT);
    assert_int_equal(nr_report_add_trace(&a, &f, NR_STR("evil.example"), NULL),
        NR_OK);
    assert_int_equal(nr_report_check(&f, NULL, 0, NULL), NR_OK);
    nr_arena_fini(&a);
}

static const struct nr_json *
object(const struct nr_json *bundle, const char *type)
{
    const struct nr_json *o = nr_json_get(bundle, NR_STR("objects"));
    struct nr_str s;

    for (o = o->child; o; o = o->next)
        if (nr_json_get_str(o, NR_STR("type"), &s) &&
            nr_str_eq(s, nr_str_of(type)))
            return o;
    return NULL;
}

static void
check_str(const struct nr_json *o, const char *name, const char *want)
{
    struct nr_str s = { "", 0 };

    (void)nr_json_get_str(o, nr_str_of(name), &s);
    CHECK_CASE(name, nr_str_eq(s, nr_str_of(want)));
}

static void
test_print(void **state)
{
    char id[NR_REPORT_ID_MAX], again[NR_REPORT_ID_MAX];
    const struct nr_json *j, *tech, *damage, *o;
    struct nr_report_form f;
    struct nr_buf b, c;
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, MEMORY);
    nr_buf_init(&b, MEMORY);
    nr_buf_init(&c, MEMORY);
    assert_int_equal(parse(&a, form, &f, NULL), NR_OK);
    assert_int_equal(nr_report_print(&f, &by, &b, id, NULL), NR_OK);
    assert_int_equal(nr_report_print(&f, &by, &c, again, NULL), NR_OK);
    assert_string_equal(id, again);
    assert_true(nr_bytes_eq(nr_buf_bytes(&b), nr_buf_bytes(&c)));
    assert_int_equal(nr_json_parse(&a, nr_buf_bytes(&b), &j, NULL), NR_OK);
    check_str(j, "collection", "c1");
    tech = nr_json_get(j, NR_STR("tech"));
    damage = nr_json_get(j, NR_STR("damage"));
    o = object(tech, "report");
    check_str(o, "id", id);
    check_str(o, "created_by_ref", by.member.p);
    check_str(o, "name", "Beacons");
    assert_int_equal(nr_json_get(o, NR_STR("object_refs"))->n, 2);
    assert_int_equal(nr_stix_marking(o, NULL, NULL, NULL).tlp, NR_TLP_GREEN);
    o = object(tech, "indicator");
    check_str(o, "pattern", "[domain-name:value = 'kot.gogoblog.net']");
    check_str(o, "x_noroshi_role", "c2");
    check_str(o, "x_noroshi_first_seen", "2016-10-03T15:00:00.000Z");
    check_str(o, "x_noroshi_last_seen", "2017-06-29T15:00:00.000Z");
    assert_int_equal(nr_stix_marking(o, NULL, NULL, NULL).pap, NR_PAP_AMBER);
    o = object(damage, "incident");
    check_str(o, "description", "Our server at 本社 was entered");
    check_str(o, "x_noroshi_org", "Kumo Works");
    check_str(o, "x_noroshi_report", id);
    check_str(o, "x_noroshi_running", "partly");
    assert_int_equal(nr_stix_marking(o, NULL, NULL, NULL).tlp,
        NR_TLP_AMBER_STRICT);
    { /* what tells who reports is in no octet of the technical half */
        struct nr_bytes half = nr_json_span(nr_buf_bytes(&b), tech);
        static const char *const secrets[] = { "Kumo", "kumo", "本社",
            "03-0000", "entered" };

        for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
            assert_null(memmem(half.p, half.n, secrets[i], strlen(secrets[i])));
    }
    f.traces[0].count++;
    assert_int_equal(nr_report_print(&f, &by, &c, again, NULL), NR_OK);
    assert_string_not_equal(id, again);
    nr_buf_fini(&b);
    nr_buf_fini(&c);
    nr_arena_fini(&a);
}

/* A URL without a scheme is shared as both, and nobody's name shows. */
static void
test_print_url(void **state)
{
    struct nr_report_form f = nr_report_form_empty();
    char id[NR_REPORT_ID_MAX];
    const struct nr_json *j, *o;
    struct nr_arena a;
    struct nr_buf b;

    (void)state;
    nr_arena_init(&a, MEMORY);
    nr_buf_init(&b, MEMORY);
    f.summary = NR_STR("x");
    f.org = NR_STR("Kumo");
    assert_int_equal(nr_report_print(&f, &by, &b, id, NULL), NR_EFORMAT);
    f.collection = NR_STR("c");
    assert_int_equal(nr_report_add_trace(&a, &f, NR_STR("evil.example/a?b=1"),
                         NULL),
        NR_OK);
    assert_int_equal(nr_report_print(&f, &by, &b, id, NULL), NR_OK);
    assert_int_equal(nr_json_parse(&a, nr_buf_bytes(&b), &j, NULL), NR_OK);
    o = object(nr_json_get(j, NR_STR("tech")), "indicator");
    check_str(o, "pattern",
        "[url:value = 'http://evil.example/a?b=1' OR url:value = "
        "'https://evil.example/a?b=1']");
    o = object(nr_json_get(j, NR_STR("tech")), "report");
    check_str(o, "name", "report of 2017-08-21");
    o = object(nr_json_get(j, NR_STR("damage")), "incident");
    assert_null(nr_json_get(o, NR_STR("x_noroshi_org")));
    nr_buf_fini(&b);
    nr_arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_times),
        NR_TEST(test_form),
        NR_TEST(test_refused),
        NR_TEST(test_add_trace),
        NR_TEST(test_deidentified),
        NR_TEST(test_incomplete),
        NR_TEST(test_print),
        NR_TEST(test_print_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
