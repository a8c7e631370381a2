#include "base/test.h"
#include "member/answers.h"
#include "member/member.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY ((size_t)8 << 20)

static struct nr_str
text_of(struct nr_bytes b)
{
    struct nr_str s = { "", 0 };

    assert_true(nr_str_from_utf8(b, &s));
    return s;
}

static void
config(void **state)
{
    const struct {
        const char *name;
        struct nr_bytes in;
        enum nr_err err;
        size_t at, n;
    } cases[] = {
        { "empty", NR_BYTES(""), NR_OK, 0, 0 },
        { "comments", NR_BYTES("# a = b\n\n  # c\n"), NR_OK, 0, 0 },
        { "crlf", NR_BYTES("share = ask\r\nsource = /a b\r\n"), NR_OK, 0, 2 },
        { "no line feed at the end", NR_BYTES("tz=+0900"), NR_OK, 0, 1 },
        { "repeated", NR_BYTES("source = a\nsource = b\n"), NR_OK, 0, 2 },
        { "value with =", NR_BYTES("source = a=b\n"), NR_OK, 0, 1 },
        { "collection", NR_BYTES("share.0 = never\n"), NR_OK, 0, 1 },
        { "no =", NR_BYTES("share = ask\nshare\n"), NR_EFORMAT, 12, 0 },
        { "unknown key", NR_BYTES("\nshares = never\n"), NR_EFORMAT, 1, 0 },
        { "no collection", NR_BYTES("share. = never\n"), NR_EFORMAT, 0, 0 },
        { "bad share", NR_BYTES("share = nevr\n"), NR_EFORMAT, 0, 0 },
        { "bad share of one", NR_BYTES("share.x = \n"), NR_EFORMAT, 0, 0 },
        { "bad zone", NR_BYTES("tz = Tokyo\n"), NR_EFORMAT, 0, 0 },
        { "small memory", NR_BYTES("memory = 7\n"), NR_EFORMAT, 0, 0 },
        { "memory", NR_BYTES("memory = 8\n"), NR_OK, 0, 1 },
        { "latin-1", NR_BYTES("source = \xe9\n"), NR_EFORMAT, 9, 0 },
        { "binary", NR_BYTES("source = a\0b\n"), NR_EFORMAT, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_config c = { 0 };
        struct nr_diag d = { 0 };
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, MEMORY);
        err = nr_config_parse(&a, cases[i].in, &c, &d);
        CHECK_CASE(cases[i].name, err == cases[i].err);
        CHECK_CASE(cases[i].name, d.at == cases[i].at);
        CHECK_CASE(cases[i].name, c.n == cases[i].n);
        nr_arena_fini(&a);
    }
}

static void
config_limit(void **state)
{
    size_t n = NR_CONFIG_LINES_MAX + 1, each = sizeof("tz=Z\n") - 1;
    char *text = malloc(n * each);
    struct nr_config c;
    struct nr_arena a;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * each, "tz=Z\n", each);
    nr_arena_init(&a, MEMORY);
    assert_int_equal(nr_config_parse(&a,
                         (struct nr_bytes){ (uint8_t *)text, n * each }, &c,
                         NULL),
        NR_ELIMIT);
    assert_int_equal(nr_config_parse(&a,
                         (struct nr_bytes){ (uint8_t *)text, (n - 1) * each },
                         &c, NULL),
        NR_OK);
    assert_int_equal(c.n, NR_CONFIG_LINES_MAX);
    nr_arena_fini(&a);
    free(text);
}

static void
sharing(void **state)
{
    const struct {
        const char *name;
        struct nr_bytes in;
        enum nr_share a, b;
    } cases[] = {
        { "nothing", NR_BYTES(""), NR_SHARE_AUTO, NR_SHARE_AUTO },
        { "all", NR_BYTES("share = never\n"), NR_SHARE_NEVER, NR_SHARE_NEVER },
        { "one", NR_BYTES("share = never\nshare.a = auto\n"), NR_SHARE_AUTO,
            NR_SHARE_NEVER },
        { "one first", NR_BYTES("share.b = ask\nshare = never\n"),
            NR_SHARE_NEVER, NR_SHARE_ASK },
        { "last counts", NR_BYTES("share.a = auto\nshare.a = ask\n"),
            NR_SHARE_ASK, NR_SHARE_AUTO },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_config c;
        struct nr_arena a;

        nr_arena_init(&a, MEMORY);
        assert_int_equal(nr_config_parse(&a, cases[i].in, &c, NULL), NR_OK);
        CHECK_CASE(cases[i].name, nr_share_of(&c, NR_STR("a")) == cases[i].a);
        CHECK_CASE(cases[i].name, nr_share_of(&c, NR_STR("b")) == cases[i].b);
        nr_arena_fini(&a);
    }
}

/* --- server-sent events --- */

struct heard {
    char text[256];
    size_t n;
};

static void
hear(void *ctx, const struct nr_http_event *ev)
{
    struct heard *h = ctx;
    int n = snprintf(h->text + h->n, sizeof(h->text) - h->n, "[%.*s|%.*s|%.*s]",
        NR_FMT(ev->event), NR_FMT(ev->data), NR_FMT(ev->id));

    assert_true(n > 0 && (size_t)n < sizeof(h->text) - h->n);
    h->n += (size_t)n;
}

static void
events(void **state)
{
    const struct {
        const char *name;
        struct nr_bytes in;
        const char *want;
    } cases[] = {
        { "one", NR_BYTES("id: 7\nevent: object\ndata: {}\n\n"),
            "[object|{}|7]" },
        { "crlf", NR_BYTES("id:7\r\ndata:x\r\n\r\n"), "[|x|7]" },
        { "cr", NR_BYTES("data:x\r\r"), "[|x|]" },
        { "two data lines", NR_BYTES("data: a\ndata: b\n\n"), "[|a\nb|]" },
        { "heartbeat", NR_BYTES(":\n\n: beat\n\n"), "" },
        { "no data", NR_BYTES("event: hello\n\n"), "" },
        { "id stays", NR_BYTES("id:1\ndata:a\n\ndata:b\n\n"), "[|a|1][|b|1]" },
        { "event does not stay", NR_BYTES("event:e\ndata:a\n\ndata:b\n\n"),
            "[e|a|][|b|]" },
        { "one space only", NR_BYTES("data:  a\n\n"), "[| a|]" },
        { "unknown field", NR_BYTES("retry: 5\nfoo\ndata: a\n\n"), "[|a|]" },
        { "not finished", NR_BYTES("data: a\n"), "" },
        { "not UTF-8", NR_BYTES("data: \xff\n\n"), "[||]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        /* However the octets are cut, the events are the same. */
        for (size_t cut = 1; cut <= cases[i].in.n; cut++) {
            struct heard h = { 0 };
            struct nr_events e;

            nr_events_init(&e);
            for (size_t at = 0; at < cases[i].in.n; at += cut) {
                size_t end = at + cut < cases[i].in.n ? at + cut
                                                      : cases[i].in.n;

                assert_int_equal(nr_events_feed(&e,
                                     nr_bytes_sub(cases[i].in, at, end), hear,
                                     &h),
                    NR_OK);
            }
            CHECK_CASE(cases[i].name, strcmp(h.text, cases[i].want) == 0);
            nr_events_fini(&e);
        }
    }
}

static void
event_limit(void **state)
{
    static uint8_t piece[1 << 16];
    enum nr_err err = NR_OK;
    struct heard h = { 0 };
    struct nr_events e;
    size_t n = 0;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    nr_events_init(&e);
    while (!err && n <= NR_HTTP_EVENT_MAX) {
        err = nr_events_feed(&e, (struct nr_bytes){ piece, sizeof(piece) },
            hear, &h);
        n += sizeof(piece);
    }
    assert_int_equal(err, NR_ELIMIT);
    assert_true(n > NR_HTTP_EVENT_MAX);
    nr_events_fini(&e);
}

/* --- join addresses --- */

#define PIN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static void
addresses(void **state)
{
    static const struct {
        const char *in;
        enum nr_err err;
        const char *base, *code;
    } cases[] = {
        { "noroshi://hub.example:8443/?code=abc&pin=" PIN, NR_OK,
            "https://hub.example:8443", "abc" },
        { "noroshi://127.0.0.1:1?pin=" PIN "&code=x_-9", NR_OK,
            "https://127.0.0.1:1", "x_-9" },
        { "noroshi://[::1]:65535/?pin=" PIN "=\n", NR_OK, "https://[::1]:65535",
            "" },
        { "https://hub.example:8443/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://hub.example/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://hub.example:0/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://hub.example:65536/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://:1/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://a/b:1/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://a@b:1/?pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://a:1/?code=abc", NR_EFORMAT, NULL, NULL },
        { "noroshi://a:1/?code=&pin=" PIN, NR_EFORMAT, NULL, NULL },
        { "noroshi://a:1/?code=abc&pin=AAEC", NR_EFORMAT, NULL, NULL },
        { "", NR_EFORMAT, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_hub_address a = { 0 };
        enum nr_err err = nr_hub_address_parse(nr_str_of(cases[i].in), &a,
            NULL);

        CHECK_CASE(cases[i].in, err == cases[i].err);
        if (err)
            continue;
        assert_string_equal(a.base, cases[i].base);
        assert_string_equal(a.code, cases[i].code);
        assert_string_equal(a.pin, PIN "=");
    }
}

/* --- home and outbox --- */

static enum nr_err
fixed_random(void *ctx, void *p, size_t n)
{
    (void)ctx;
    memset(p, 7, n);
    return NR_OK;
}

static void
make_home(char *home)
{
    const struct nr_env env = { .random = fixed_random };

    assert_non_null(mkdtemp(home));
    assert_int_equal(nr_home_check(home, NULL), NR_ENOTFOUND);
    assert_int_equal(nr_home_init(home, &env, NULL), NR_OK);
    assert_int_equal(nr_home_check(home, NULL), NR_OK);
}

static void
remove_home(const char *home)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", home);
    assert_int_equal(system(command), 0); // NOLINT: the test's own directory
}

static void
home(void **state)
{
    const struct nr_env env = { .random = fixed_random };
    char dir[] = "/tmp/nr_member.XXXXXX", path[NR_PATH_MAX];
    struct nr_config c;
    struct nr_arena a;
    struct stat st;

    (void)state;
    make_home(dir);
    (void)snprintf(path, sizeof(path), "%s/" NR_HOME_IDENTITY, dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* A second init keeps what its owner wrote. */
    (void)snprintf(path, sizeof(path), "%s/" NR_HOME_CONFIG, dir);
    assert_int_equal(nr_file_replace(path, NR_BYTES("share = never\n"), 0600,
                         NULL),
        NR_OK);
    assert_int_equal(nr_home_init(dir, &env, NULL), NR_OK);
    nr_arena_init(&a, MEMORY);
    assert_int_equal(nr_config_read(&a, dir, &c, NULL), NR_OK);
    assert_int_equal(nr_share_of(&c, NR_STR("x")), NR_SHARE_NEVER);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(nr_config_read(&a, dir, &c, NULL), NR_OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(nr_outbox_list(&a, "/nonexistent", NR_BOX_HELD,
                         &(struct nr_names){ 0 }, NULL),
        NR_ENOTFOUND);
    nr_arena_fini(&a);
    remove_home(dir);
}

static void
outbox(void **state)
{
    char dir[] = "/tmp/nr_member.XXXXXX", path[NR_PATH_MAX];
    const struct nr_item item = { NR_STR("answers"), NR_STR("a-1"),
        NR_STR("POST"), NR_STR("/v1/answers"), NR_BYTES("{\"answers\": []}") };
    struct nr_item bad = item, got;
    struct nr_names names;
    struct nr_arena a;
    struct nr_diag d = { 0 };
    enum nr_box box;

    (void)state;
    make_home(dir);
    nr_arena_init(&a, MEMORY);
    assert_int_equal(nr_outbox_put(dir, NR_BOX_HELD, &item, &d), NR_OK);
    /* A second putting, wherever to, is no second item. */
    assert_int_equal(nr_outbox_put(dir, NR_BOX_PENDING, &item, &d), NR_OK);
    assert_int_equal(nr_outbox_find(dir, "a-1", &box, &d), NR_OK);
    assert_int_equal(box, NR_BOX_HELD);
    assert_int_equal(nr_outbox_read(&a, dir, NR_BOX_HELD, "a-1", &got, &d),
        NR_OK);
    assert_true(nr_bytes_eq(got.body, item.body)); /* octet for octet */
    assert_true(nr_str_eq(got.path, item.path));
    assert_int_equal(nr_outbox_move(dir, "a-1", NR_BOX_PENDING, NR_BOX_SENT,
                         &d),
        NR_ENOTFOUND);
    assert_int_equal(nr_outbox_move(dir, "a-1", NR_BOX_HELD, NR_BOX_SENT, NULL),
        NR_OK);
    assert_int_equal(nr_outbox_put(dir, NR_BOX_PENDING, &item, NULL), NR_OK);
    assert_int_equal(nr_outbox_list(&a, dir, NR_BOX_PENDING, &names, NULL),
        NR_OK);
    assert_int_equal(names.n, 0);
    assert_int_equal(nr_outbox_list(&a, dir, NR_BOX_SENT, &names, NULL), NR_OK);
    assert_int_equal(names.n, 1);
    assert_string_equal(names.v[0], "a-1");
    bad.id = NR_STR("../key");
    assert_int_equal(nr_outbox_put(dir, NR_BOX_HELD, &bad, NULL), NR_EFORMAT);
    bad.id = NR_STR("b");
    bad.body = NR_BYTES("{");
    assert_int_equal(nr_outbox_put(dir, NR_BOX_HELD, &bad, NULL), NR_EFORMAT);
    assert_int_equal(nr_outbox_find(dir, "b", &box, NULL), NR_ENOTFOUND);
    /* An item under another's name, or of another shape, is not sent. */
    (void)snprintf(path, sizeof(path), "%s/outbox/pending/c.json", dir);
    assert_int_equal(nr_file_replace(path,
                         nr_bytes_of(text_of(NR_BYTES(
                             "{\"kind\":\"k\",\"id\":\"a-1\",\"method\":"
                             "\"POST\",\"path\":\"/\",\"body\":1}"))),
                         0600, NULL),
        NR_OK);
    assert_int_equal(nr_outbox_read(&a, dir, NR_BOX_PENDING, "c", &got, NULL),
        NR_EDAMAGED);
    nr_arena_fini(&a);
    remove_home(dir);
}

/* --- the answer log --- */

#define LINE(id, version, word, item)                                      \
    "{\"time\":\"2017-08-21T00:00:0" version                               \
    ".000Z\",\"indicator\":\"indicator--" id                               \
    "\",\"version\":\"2017-08-20T00:00:0" version "Z\",\"answer\":\"" word \
    "\",\"lines\":3,\"item\":\"" item "\"}\n"

static void
write_answers(const char *dir, struct nr_bytes in)
{
    char path[NR_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/" NR_HOME_ANSWERS, dir);
    assert_int_equal(nr_file_replace(path, in, 0600, NULL), NR_OK);
}

static void
answer_log(void **state)
{
    char dir[] = "/tmp/nr_member.XXXXXX";
    const struct nr_bytes torn = NR_BYTES(
        LINE("a", "1", "not-seen", "i1") LINE("b", "1", "seen", "i2")
            LINE("a", "2", "seen", "i2") "{\"time\":\"2017-08-2");
    struct nr_answer_counts counts;
    struct nr_answer_log log;
    struct nr_bytes text;
    struct nr_known *k;
    struct nr_arena a;
    struct nr_diag d = { 0 };

    (void)state;
    make_home(dir);
    assert_int_equal(nr_answers_count(dir, &counts, &d), NR_OK); /* no file */
    assert_int_equal(counts.n[0], 0);
    write_answers(dir, torn);
    /* Reading passes over what a crash cut short and leaves it alone. */
    assert_int_equal(nr_answers_count(dir, &counts, &d), NR_OK);
    assert_int_equal(counts.n[0], 2);
    /* The agent takes it off and goes on behind the last whole line. */
    assert_int_equal(nr_answer_log_open(dir, true, &log, &d), NR_OK);
    assert_int_equal(log.n, 2);
    assert_string_equal(log.item, "i2");
    assert_int_equal(log.item_at, sizeof(LINE("a", "1", "not-seen", "i1")) - 1);
    k = nr_answer_log_find(&log, NR_STR("indicator--a"));
    assert_non_null(k);
    assert_string_equal(nr_answer_word(k->word), "seen");
    assert_true(k->created_us < k->modified_us);
    assert_int_equal(nr_answer_log_append(&log,
                         NR_BYTES(LINE("c", "3", "revoked", "")), &d),
        NR_OK);
    k = nr_answer_log_find(&log, NR_STR("indicator--c"));
    assert_non_null(k);
    nr_arena_init(&a, MEMORY);
    assert_int_equal(nr_answer_log_text(&log, &a, k->at, k->len, &text, &d),
        NR_OK);
    assert_true(nr_bytes_eq(text, NR_BYTES(LINE("c", "3", "revoked", ""))));
    assert_null(nr_answer_log_find(&log, NR_STR("indicator--d")));
    nr_arena_fini(&a);
    nr_answer_log_close(&log);
    assert_int_equal(nr_answers_count(dir, &counts, &d), NR_OK);
    assert_int_equal(counts.n[4], 1);
    remove_home(dir);
}

static void
answer_log_damaged(void **state)
{
    const struct nr_bytes cases[] = {
        NR_BYTES("junk\n"),
        NR_BYTES("{}\n"),
        NR_BYTES(LINE("a", "1", "perhaps", "i1")),
        NR_BYTES(LINE("a", "1", "seen", "i1") "\0\0\0\n"),
    };
    char dir[] = "/tmp/nr_member.XXXXXX";

    (void)state;
    make_home(dir);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_answer_counts counts;
        struct nr_diag d = { 0 };

        write_answers(dir, cases[i]);
        assert_int_equal(nr_answers_count(dir, &counts, &d), NR_EDAMAGED);
        assert_non_null(strstr(d.name, NR_HOME_ANSWERS));
    }
    remove_home(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(config),
        NR_TEST(config_limit),
        NR_TEST(sharing),
        NR_TEST(events),
        NR_TEST(event_limit),
        NR_TEST(addresses),
        NR_TEST(home),
        NR_TEST(outbox),
        NR_TEST(answer_log),
        NR_TEST(answer_log_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
