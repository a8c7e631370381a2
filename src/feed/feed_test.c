#include "base/buf.h"
#include "base/date.h"
#include "base/file.h"
#include "base/test.h"
#include "feed/feed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW INT64_C(1503273600)

static struct nr_feed *
feed(void)
{
    const struct nr_feed_conf conf = { .seed = { 1 } };
    struct nr_feed *f = nr_feed_create(&conf);

    assert_non_null(f);
    return f;
}

static struct nr_feed *
feed_of(const char *text, enum nr_feed_format format)
{
    struct nr_feed *f = feed();

    assert_int_equal(nr_feed_add_bytes(f, "t", nr_bytes_of(nr_str_of(text)),
                         format, NULL),
        NR_OK);
    return f;
}

static struct nr_watchlist *
list_of(struct nr_feed *f)
{
    struct nr_watchlist *w;

    assert_int_equal(nr_feed_build(f, NOW, &w, NULL), NR_OK);
    return w;
}

static bool
find(const struct nr_watchlist *w, enum nr_kind kind, const char *value,
    struct nr_indicator *out, size_t *at)
{
    for (*at = 0; *at < nr_watchlist_count(w); ++*at) {
        *out = nr_watchlist_get(w, *at);
        if (out->kind == kind && nr_str_eq(out->value, nr_str_of(value)))
            return true;
    }
    return false;
}

/* Real lists, counted once more by testdata/count.py. */
static void
test_real(void **state)
{
    const char *dir = *state;
    struct nr_arena a;
    struct nr_bytes in;
    struct nr_str text;
    char path[NR_PATH_MAX];
    size_t files = 0;

    nr_arena_init(&a, (size_t)1 << 20);
    assert_int_equal(nr_path_join(path, dir, "expected.tsv", NULL), NR_OK);
    assert_int_equal(nr_file_read(&a, path, 65536, &in, NULL), NR_OK);
    assert_true(nr_str_from_utf8(in, &text));
    while (text.n) {
        struct nr_str number, name;
        struct nr_feed *f = feed();
        struct nr_feed_stats st;
        struct nr_diag d = { 0 };
        char file[256];
        uint64_t want;

        name = nr_str_cut(nr_str_cut(text, '\n', &text), '\t', &number);
        assert_true(nr_str_to_u64(number, &want));
        assert_true(name.n < sizeof(file) - 5);
        memcpy(file, "real/", 5);
        memcpy(file + 5, name.p, name.n);
        file[5 + name.n] = '\0';
        assert_int_equal(nr_path_join(path, dir, file, NULL), NR_OK);
        CHECK_CASE(file, nr_feed_add_path(f, path, NR_FEED_AUTO, &d) == NR_OK);
        nr_feed_stats(f, &st);
        if (st.indicators != want) {
            struct nr_watchlist *w = list_of(f);

            for (size_t i = 0; i < nr_watchlist_count(w); i++) {
                struct nr_indicator x = nr_watchlist_get(w, i);

                print_message("%s %.*s\n", nr_kind_name(x.kind),
                    NR_FMT(x.value));
            }
            fail_msg("%s: %llu indicators, not %llu", file,
                (unsigned long long)st.indicators, (unsigned long long)want);
        }
        assert_int_equal(st.values, st.taken + st.unmatchable + st.refused);
        nr_feed_destroy(f);
        files++;
    }
    assert_int_equal(files, 30);
    nr_arena_fini(&a);
}

static void
test_recognise(void **state)
{
    static const struct {
        const char *name, *in;
        enum nr_feed_format want;
    } cases[] = {
        { "bundle", " {\"type\":\"bundle\"}", NR_FEED_STIX },
        { "array", "[{\"type\":\"indicator\"}]", NR_FEED_STIX },
        { "misp", "{\"response\":[{\"Event\":{}}]}", NR_FEED_MISP },
        { "bare event", "{\"info\":\"x\",\"Attribute\":[]}", NR_FEED_MISP },
        { "adoc", "[options=\"header\"]\n|===\n", NR_FEED_TEXT },
        { "defanged first", "[.]evil\n", NR_FEED_TEXT },
        { "csv", "type,value\nip,192.0.2.1\n", NR_FEED_CSV },
        { "japanese csv", "種別;値\nドメイン;evil.example\n", NR_FEED_CSV },
        { "one column", "ioc\nevil.example\n", NR_FEED_CSV },
        { "no header", "evil.example,2020\nbad.example,2021\n", NR_FEED_CSV },
        { "list", "evil.example\nbad.example\n", NR_FEED_TEXT },
        { "bom", "\xef\xbb\xbf{}", NR_FEED_STIX },
        { "nothing", "", NR_FEED_TEXT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_CASE(cases[i].name,
            nr_feed_recognise(nr_bytes_of(nr_str_of(cases[i].in))) ==
                cases[i].want);
}

/* text, format, then what must come of it */
static void
test_counts(void **state)
{
    static const struct {
        const char *name, *in;
        enum nr_feed_format format;
        uint64_t indicators, taken, unmatchable, refused;
    } cases[] = {
        { "quotes",
            "value,note\n\"evil.example\",\"a, \"\"b\"\"\nc\"\n"
            "bad.example,\n",
            NR_FEED_CSV, 2, 2, 0, 0 },
        { "several columns", "Domain,IP,SHA256\nevil.example,192.0.2.1,\n",
            NR_FEED_CSV, 2, 2, 0, 0 },
        { "headerless kinds",
            "domain,evil.example,,x,https://r.example/\n"
            "ipv4,192.0.2.1,,x,https://r.example/\n",
            NR_FEED_CSV, 2, 2, 0, 0 },
        { "bad row", "type,value\nip,999.1.1.1\nip,192.0.2.1\n", NR_FEED_CSV, 1,
            1, 0, 1 },
        { "path only", "kind,value\nurl-path,/a.php\ndomain,evil.example\n",
            NR_FEED_CSV, 1, 1, 1, 0 },
        { "empty cell", "type,value\nip,\nip,192.0.2.1\n", NR_FEED_CSV, 1, 1, 0,
            1 },
        { "pairs", "domain\tevil.example\nipv4\t192.0.2.1\nregkey\tHKLM\n",
            NR_FEED_TEXT, 2, 2, 1, 0 },
        { "hosts file", "0.0.0.0 evil.example\n127.0.0.1 bad.example\n",
            NR_FEED_TEXT, 2, 2, 0, 0 },
        { "refused in a list", "evil.example\nbad.example\nx!\nz.example\n",
            NR_FEED_TEXT, 3, 3, 0, 1 },
        { "crlf and blanks", "evil.example \r\n\r\n\tbad.example\r\n",
            NR_FEED_TEXT, 2, 2, 0, 0 },
        { "prose",
            "We saw hxxp://evil[.]example/a, from 192.0.2.1 (C2).\n"
            "See https://blog.example.com/post for more; setup.zip too.\n",
            NR_FEED_TEXT, 2, 2, 0, 0 },
        { "same twice", "evil.example\nEVIL.example.\n", NR_FEED_TEXT, 1, 2, 0,
            0 },
        { "strings", "[\"evil.example\",\"192.0.2.1\",\"nothing\"]",
            NR_FEED_AUTO, 2, 2, 0, 1 },
        { "foreign object", "[{\"a\":1}]", NR_FEED_STIX, 0, 0, 0, 1 },
        { "composite",
            "{\"Event\":{\"Attribute\":[{\"type\":\"domain|ip\",\"value\":"
            "\"evil.example|192.0.2.1\"},{\"type\":\"filename|sha256\","
            "\"value\":\"a|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495"
            "991b7852b855\"},{\"type\":\"ip-dst|port\",\"value\":"
            "\"198.51.100.7|443\"},{\"type\":\"mutex\",\"value\":\"m\"},"
            "{\"type\":\"comment\",\"value\":\"c\"},{\"type\":\"domain\","
            "\"value\":\"gone.example\",\"deleted\":true}]}}",
            NR_FEED_AUTO, 4, 4, 1, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_feed *f = feed_of(cases[i].in, cases[i].format);
        struct nr_feed_stats st;
        size_t n;

        nr_feed_stats(f, &st);
        CHECK_CASE(cases[i].name, st.indicators == cases[i].indicators);
        CHECK_CASE(cases[i].name, st.taken == cases[i].taken);
        CHECK_CASE(cases[i].name, st.unmatchable == cases[i].unmatchable);
        CHECK_CASE(cases[i].name, st.refused == cases[i].refused);
        (void)nr_feed_notes(f, &n);
        CHECK_CASE(cases[i].name, n == st.unmatchable + st.refused);
        nr_feed_destroy(f);
    }
}

/* One event in three envelopes gives the same list. */
static void
test_misp_shapes(void **state)
{
    static const char event[] =
        "{\"date\":\"2020-01-02\",\"info\":\"case\",\"Orgc\":{\"name\":"
        "\"CSIRT\"},"
        "\"Tag\":[{\"name\":\"tlp:amber\"}],\"Attribute\":[{\"type\":\"link\","
        "\"value\":\"https://r.example/\"},{\"type\":\"domain\",\"value\":"
        "\"evil[.]example\",\"to_ids\":true,\"first_seen\":"
        "\"2019-12-01T00:00:00.000000+00:00\",\"last_seen\":"
        "\"2019-12-03T00:00:00+00:00\",\"Tag\":[{\"name\":\"PAP:RED\"}]}],"
        "\"Object\":[{\"Attribute\":[{\"type\":\"ip-src\",\"value\":"
        "\"192.0.2.1\",\"to_ids\":false}]}]}";
    static const char *const heads[] = { "",
        "{\"Event\":", "{\"response\":[{\"Event\":", "[{\"Event\":" };
    static const char *const tails[] = { "", "}", "}]}", "}]" };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct nr_indicator x;
        struct nr_watchlist *w;
        struct nr_feed *f;
        char text[1024];
        size_t k;

        (void)snprintf(text, sizeof(text), "%s%s%s", heads[i], event, tails[i]);
        f = feed_of(text, NR_FEED_AUTO);
        w = list_of(f);
        assert_int_equal(nr_watchlist_count(w), 2);
        assert_true(find(w, NR_KIND_DOMAIN, "evil.example", &x, &k));
        assert_int_equal(x.tlp, 3);
        assert_int_equal(x.pap, 4);
        assert_int_equal(x.role, NR_ROLE_UNKNOWN);
        assert_int_equal(x.first_seen_s, 1575158400);
        assert_int_equal(x.last_seen_s, 1575331200);
        assert_true(nr_str_eq(x.said.source, NR_STR("CSIRT")));
        assert_true(nr_str_eq(x.said.reference, NR_STR("https://r.example/")));
        assert_int_equal(x.said.date_s, 1577923200);
        assert_true(find(w, NR_KIND_IPV4, "192.0.2.1", &x, &k));
        assert_int_equal(x.role, NR_ROLE_CONTEXTUAL);
        nr_watchlist_close(w);
        nr_feed_destroy(f);
    }
}

static void
test_claims(void **state)
{
    struct nr_feed *f = feed_of("# Reference: https://a.example/1\n"
                                "# Reference: https://a.example/2\n\n"
                                "evil.example\nbad.example\n\n"
                                "# Reference: https://a.example/3\n"
                                "evil.example\n",
        NR_FEED_TEXT);
    struct nr_watchlist *w;
    struct nr_indicator x;
    struct nr_feed_stats st;
    size_t k;

    (void)state;
    assert_int_equal(nr_feed_add_bytes(f, "list.csv",
                         NR_BYTES("kind,value,port,actor,reference,first_seen,"
                                  "source\ndomain,evil.example,,tick,"
                                  "https://b.example/,2019-02,maltrail\n"),
                         NR_FEED_AUTO, NULL),
        NR_OK);
    nr_feed_stats(f, &st);
    assert_int_equal(st.taken, 4);
    assert_int_equal(st.sources, 2);
    w = list_of(f);
    assert_int_equal(nr_watchlist_count(w), 2);
    assert_true(find(w, NR_KIND_DOMAIN, "evil.example", &x, &k));
    assert_int_equal(x.n_claims, 4);
    assert_int_equal(x.first_seen_s, 1548979200); /* 2019-02 */
    {
        struct nr_claim c = nr_watchlist_claim(w, k, 1);

        assert_true(nr_str_eq(c.reference, NR_STR("https://a.example/2")));
        assert_true(nr_str_eq(c.source, NR_STR("t")));
        c = nr_watchlist_claim(w, k, 3);
        assert_true(nr_str_eq(c.source, NR_STR("maltrail: tick")));
        assert_int_equal(c.date_s, 1548979200);
    }
    nr_watchlist_close(w);
    nr_feed_destroy(f);
}

#define OBJECT(n)                                                            \
    "{\"type\":\"indicator\",\"spec_version\":\"2.1\",\"id\":\"indicator--"  \
    "b2b3b4b5-0000-4000-8000-00000000000" n                                  \
    "\",\"created\":\"2020-01-01T00:00:00Z\",\"modified\":\"2020-01-01T00:0" \
    "0:00Z\",\"valid_from\":\"2020-01-01T00:00:00Z\",\"pattern_type\":"      \
    "\"stix\","

static const char bundle[] =
    "{\"type\":\"bundle\",\"id\":\"bundle--b2b3b4b5-0000-4000-8000-"
    "000000000009\",\"objects\":[" OBJECT(
        "1") "\"created_by_ref\":\"identity--b2b3b4b5-0000-4000-8000-"
             "000000000008\","
             "\"x_noroshi_first_seen\":\"2019-06-01T00:00:00Z\",\"x_noroshi_"
             "role\":"
             "\"c2\",\"object_marking_refs\":[\"marking-definition--f88d31f6-"
             "486f-44da-"
             "b317-01333bde0b82\"],\"pattern\":\"[domain-name:value = "
             "'evil.example' OR "
             "ipv4-addr:value = '192.0.2.0/24']\"}," OBJECT(
                 "2") "\"pattern\":\"[domain-name:value = 'a.example' AND "
                      "ipv4-addr:value = "
                      "'192.0.2.9']\"}," OBJECT("3") "\"revoked\":true,"
                                                     "\"pattern\":\"[domain-"
                                                     "name:value = "
                                                     "'r.example']\"}," OBJECT(
                                                         "4") "\"pattern\":\"["
                                                              "domain-name:"
                                                              "value = \"},"
                                                              "{\"type\":"
                                                              "\"identity\","
                                                              "\"spec_"
                                                              "version\":\"2."
                                                              "1\",\"id\":"
                                                              "\"identity--"
                                                              "b2b3b4b5-0000-"
                                                              "4000-8000-"
                                                              "000000000008\","
                                                              "\"name\":"
                                                              "\"CSIRT\","
                                                              "\"created\":"
                                                              "\"2020-01-01T00:"
                                                              "00:00Z\","
                                                              "\"modified\":"
                                                              "\"2020-01-01T00:"
                                                              "00:00Z\"}]}";

static void
test_stix(void **state)
{
    struct nr_feed *f = feed_of(bundle, NR_FEED_AUTO);
    struct nr_watchlist *w = list_of(f);
    struct nr_feed_stats st;
    struct nr_indicator x;
    size_t k;

    (void)state;
    nr_feed_stats(f, &st);
    assert_int_equal(st.indicators, 2);
    assert_int_equal(st.unmatchable, 1);
    assert_int_equal(st.refused, 2);
    assert_int_equal(st.others, 1);
    assert_true(find(w, NR_KIND_DOMAIN, "evil.example", &x, &k));
    assert_int_equal(x.tlp, 3);
    assert_int_equal(x.role, NR_ROLE_C2);
    assert_int_equal(x.first_seen_s, 1559347200);
    assert_int_equal(x.last_seen_s, NR_TIME_NONE);
    assert_int_equal(x.valid_from_s, 1577836800);
    assert_true(nr_str_eq(x.said.source, NR_STR("CSIRT")));
    assert_true(nr_str_eq(x.said.id,
        NR_STR("indicator--b2b3b4b5-0000-4000-8000-000000000001")));
    assert_true(find(w, NR_KIND_CIDR4, "192.0.2.0/24", &x, &k));
    nr_watchlist_close(w);
    nr_feed_destroy(f);
}

/* A source with a fault anywhere adds nothing. */
static void
test_all_or_nothing(void **state)
{
    struct nr_feed *f = feed();
    struct nr_feed_stats st;
    struct nr_diag d = { 0 };

    (void)state;
    assert_int_equal(nr_feed_add_bytes(f, "cut",
                         (struct nr_bytes){ (const uint8_t *)bundle,
                             sizeof(bundle) - 10 },
                         NR_FEED_AUTO, &d),
        NR_ETRUNC);
    assert_string_equal(d.name, "cut");
    nr_feed_stats(f, &st);
    assert_int_equal(st.indicators, 0);
    assert_int_equal(st.values, 0);
    d = (struct nr_diag){ 0 };
    assert_int_equal(nr_feed_add_bytes(f, "csv", NR_BYTES("a,b\nc,d\n"),
                         NR_FEED_CSV, &d),
        NR_EFORMAT);
    d = (struct nr_diag){ 0 };
    assert_int_equal(nr_feed_add_path(f, "/nonexistent/x", NR_FEED_AUTO, &d),
        NR_ENOTFOUND);
    nr_feed_destroy(f);
}

static void
test_utf16(void **state)
{
    static const char text[] = "evil.example\nbad.example\n";
    uint8_t wide[2 * sizeof(text)] = { 0xff, 0xfe };
    struct nr_feed *f = feed();
    struct nr_feed_stats st;

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        wide[2 + 2 * i] = (uint8_t)text[i];
    assert_int_equal(nr_feed_add_bytes(f, "wide",
                         (struct nr_bytes){ wide, sizeof(wide) }, NR_FEED_AUTO,
                         NULL),
        NR_OK);
    nr_feed_stats(f, &st);
    assert_int_equal(st.indicators, 2);
    nr_feed_destroy(f);
}

static void
test_flagged(void **state)
{
    static const char list[] =
        "{\"name\":\"Test\",\"type\":\"hostname\",\"list\":[\"harmless."
        "example\"],\"matching_attributes\":[\"domain\",\"hostname\",\"url\"]}";
    char dir[] = "/tmp/feed-test-XXXXXX", path[NR_PATH_MAX];
    struct nr_feed_conf conf = { .seed = { 1 } };
    struct nr_warnlists *w;
    struct nr_watchlist *l;
    struct nr_feed_stats st;
    struct nr_indicator x;
    struct nr_feed *f;
    size_t k;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(nr_path_join(path, dir, "harmless.json", NULL), NR_OK);
    assert_int_equal(nr_file_replace(path, nr_bytes_of(nr_str_of(list)), 0600,
                         NULL),
        NR_OK);
    assert_int_equal(nr_warn_load(dir, &w, NULL), NR_OK);
    conf.warn = w;
    f = nr_feed_create(&conf);
    assert_non_null(f);
    assert_int_equal(nr_feed_add_bytes(f, "t",
                         NR_BYTES("www.harmless.example\nevil.example\n"),
                         NR_FEED_AUTO, NULL),
        NR_OK);
    nr_feed_stats(f, &st);
    assert_int_equal(st.flagged, 1);
    assert_int_equal(st.taken, 2);
    l = list_of(f);
    assert_true(find(l, NR_KIND_DOMAIN, "www.harmless.example", &x, &k));
    assert_true(x.warn.n > 0);
    assert_true(find(l, NR_KIND_DOMAIN, "evil.example", &x, &k));
    assert_int_equal(x.warn.n, 0);
    nr_watchlist_close(l);
    nr_feed_destroy(f);
    nr_warn_destroy(w);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void
remove_beside(const char *path, const char *tail)
{
    static char name[2 * NR_PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s%s", path, tail);

    assert_true(n > 0 && (size_t)n < sizeof(name));
    assert_int_equal(unlink(name), 0);
}

/* What stands beside a compiled list is part of it, alone and among others;
 * times and marks that are assumed, too. */
static void
check_deltas(const char *compiled, const char *const *paths)
{
    static const struct nr_watchlist_defaults defaults = { 100, NR_TIME_NONE, 3,
        0 };
    const struct nr_feed_conf conf = { .seed = { 1 },
        .source = "someone",
        .defaults = &defaults };
    struct nr_feed *f = nr_feed_create(&conf);
    struct nr_watchlist_change done;
    struct nr_watchlist *w = NULL;
    struct nr_indicator x;
    size_t k;

    assert_non_null(f);
    assert_int_equal(nr_feed_add_bytes(f, "t",
                         NR_BYTES("late.example\nlater.example\n"),
                         NR_FEED_AUTO, NULL),
        NR_OK);
    assert_int_equal(nr_feed_update(f, compiled, false, NOW, &done, NULL),
        NR_OK);
    assert_int_equal(done.added, 2);
    assert_int_equal(nr_feed_load_list(paths, 2, &conf, NOW, &w, NULL, NULL),
        NR_OK);
    assert_int_equal(nr_watchlist_count(w), 5);
    assert_true(find(w, NR_KIND_DOMAIN, "late.example", &x, &k));
    assert_true(nr_str_eq(x.said.source, NR_STR("someone")));
    assert_int_equal(x.valid_from_s, 100);
    assert_int_equal(x.tlp, 3);
    nr_watchlist_close(w);
    assert_int_equal(nr_feed_update(f, compiled, true, NOW, &done, NULL),
        NR_OK);
    assert_int_equal(done.removed, 2);
    assert_int_equal(nr_feed_load_list(paths, 2, &conf, NOW, &w, NULL, NULL),
        NR_OK);
    assert_int_equal(nr_watchlist_count(w), 3);
    nr_watchlist_close(w);
    nr_feed_destroy(f);
    remove_beside(compiled, ".d1");
    remove_beside(compiled, ".d2");
    remove_beside(compiled, ".lock");
}

/* Written, then read as a LIST together with text. */
static void
test_load_list(void **state)
{
    const struct nr_feed_conf conf = { .seed = { 1 } };
    char dir[] = "/tmp/feed-test-XXXXXX";
    char compiled[NR_PATH_MAX], text[NR_PATH_MAX], empty[NR_PATH_MAX];
    const char *paths[] = { compiled, text };
    struct nr_feed *f = feed_of(bundle, NR_FEED_AUTO);
    struct nr_watchlist *w = NULL;
    struct nr_feed_stats st;
    struct nr_indicator x;
    struct nr_diag d = { 0 };
    const char *none[] = { empty };
    size_t k;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(nr_path_join(compiled, dir, "a.nrw", NULL), NR_OK);
    assert_int_equal(nr_path_join(text, dir, "b.tsv", NULL), NR_OK);
    assert_int_equal(nr_path_join(empty, dir, "c.txt", NULL), NR_OK);
    assert_int_equal(nr_feed_write(f, compiled, NOW, NULL), NR_OK);
    assert_int_equal(nr_file_replace(text, NR_BYTES("ipv4\t198.51.100.7\n"),
                         0600, NULL),
        NR_OK);
    assert_int_equal(nr_file_replace(empty, NR_BYTES("# nothing\n"), 0600,
                         NULL),
        NR_OK);
    assert_int_equal(nr_feed_load_list(paths, 2, &conf, NOW, &w, &st, NULL),
        NR_OK);
    assert_int_equal(nr_watchlist_count(w), 3);
    assert_true(find(w, NR_KIND_DOMAIN, "evil.example", &x, &k));
    assert_int_equal(x.role, NR_ROLE_C2);
    assert_true(nr_str_eq(x.said.source, NR_STR("CSIRT")));
    nr_watchlist_close(w);
    assert_int_equal(nr_feed_load_list(paths, 1, &conf, NOW, &w, &st, NULL),
        NR_OK);
    assert_int_equal(st.indicators, 2);
    assert_int_equal(nr_watchlist_count(w), 2);
    nr_watchlist_close(w);
    check_deltas(compiled, paths);
    assert_int_equal(nr_feed_load_list(none, 1, &conf, NOW, &w, NULL, &d),
        NR_EFORMAT);
    nr_feed_destroy(f);
    assert_int_equal(unlink(compiled), 0);
    assert_int_equal(unlink(text), 0);
    assert_int_equal(unlink(empty), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* All that W says, one indicator a line. */
static void
print(const struct nr_watchlist *w, struct nr_buf *out)
{
    for (size_t i = 0; i < nr_watchlist_count(w); i++) {
        struct nr_indicator ind = nr_watchlist_get(w, i);

        nr_buf_printf(out, "%s %.*s", nr_kind_name(ind.kind), (int)ind.value.n,
            ind.value.p);
        for (size_t k = 0; k < ind.n_claims; k++) {
            struct nr_claim c = nr_watchlist_claim(w, i, k);

            nr_buf_printf(out, " [%.*s %.*s]", (int)c.source.n, c.source.p,
                (int)c.reference.n, c.reference.p);
        }
        nr_buf_put_c(out, '\n');
    }
    assert_int_equal(out->err, NR_OK);
}

#define PLAIN_LINES ((size_t)120000) /* so many that a thread reads ahead */

/* The short way of plain lines is the long way: a blank in front of the tab or
 * a comma, which are taken off the values again, make lines that are not plain
 * and mean the same. */
static void
test_plain(void **state)
{
    static const char *const lines[] = {
        "# https://a.example/report",
        "domain\tevil.example",
        "domain\tevil.example\tsecond column",
        "hostname\twww.evil.example",
        "Domain-Name\tother.example",
        "ipv4\t192.0.2.1",
        "ip\t2001:db8::1",
        "ip\t192.0.2.0/24",
        "cidr\t198.51.100.77/24",
        "cidr\t2001:db8:ffff::/33",
        "cidr\t198.51.100.78",
        "host\t203.0.113.9",
        "url\thttp://evil.example:8080/a?b=c",
        "# https://b.example/report",
        "email\ta.b@evil.example",
        "md5\t00112233445566778899aabbccddeeff",
        "sha1\t00112233445566778899AABBCCDDEEFF00112233",
        "filename\tevil.exe",
        "domain\tevil.example",
        "domain\tnot a name",
        "md5\tevil.example",
        "mutex\tevil.example",
        "comment\tevil.example",
        "nothing\tevil.example",
        "//domain\tcomment.example",
        "; domain\tcomment.example",
        "",
        "bare.example",
        "192.0.2.2",
        "http://bare.example/x",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddee00",
        "# https://c.example/1",
        "# https://c.example/2",
        "two.example",
    };
    const struct nr_feed_conf conf = { .seed = { 1 }, .source = "someone" };
    struct nr_buf text[2], shown[2];
    struct nr_feed_stats st[2];

    (void)state;
    for (size_t v = 0; v < 2; v++) {
        const char *sign = v == 0 ? "" : ",";
        struct nr_feed *f;
        struct nr_watchlist *w;

        nr_buf_init(&text[v], (size_t)1 << 24);
        nr_buf_init(&shown[v], (size_t)1 << 24);
        for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
            struct nr_str column = nr_str_of(lines[i]), rest;
            struct nr_str head = nr_str_cut(column, '\t', &rest);
            bool comment = head.n == 0 || strchr("#;/", head.p[0]);

            if (head.n < column.n) {
                head = nr_str_cut(rest, '\t', &column);
                nr_buf_put(&text[v],
                    (struct nr_bytes){ (const uint8_t *)lines[i],
                        (size_t)(head.p - lines[i]) + head.n });
                nr_buf_printf(&text[v], "%s%s", comment ? "" : sign,
                    v ? "\n" : "\r\n");
            } else {
                nr_buf_printf(&text[v], "%s%s\n", lines[i],
                    comment ? "" : sign);
            }
        }
        for (size_t i = 0; i < PLAIN_LINES; i++)
            nr_buf_printf(&text[v], "domain\tx%zu.example%s\n", i / 2, sign);
        f = nr_feed_create(&conf);
        assert_non_null(f);
        assert_int_equal(nr_feed_add_bytes(f, "t", nr_buf_bytes(&text[v]),
                             NR_FEED_TEXT, NULL),
            NR_OK);
        nr_feed_stats(f, &st[v]);
        w = list_of(f);
        print(w, &shown[v]);
        nr_watchlist_close(w);
        nr_feed_destroy(f);
    }
    assert_string_equal(nr_buf_cstr(&shown[0]), nr_buf_cstr(&shown[1]));
    assert_memory_equal(&st[0], &st[1], sizeof(st[0]));
    assert_true(st[0].indicators > PLAIN_LINES / 2);
    assert_true(st[0].refused > 0);
    assert_true(st[0].unmatchable > 0);
    for (size_t v = 0; v < 2; v++) {
        nr_buf_fini(&text[v]);
        nr_buf_fini(&shown[v]);
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_real, argc > 1 ? argv[1] : NULL),
        NR_TEST(test_recognise),
        NR_TEST(test_counts),
        NR_TEST(test_misp_shapes),
        NR_TEST(test_claims),
        NR_TEST(test_stix),
        NR_TEST(test_all_or_nothing),
        NR_TEST(test_utf16),
        NR_TEST(test_flagged),
        NR_TEST(test_load_list),
        NR_TEST(test_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
