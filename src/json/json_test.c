#include "json/json.h"

#include "base/fault.h"
#include "base/test.h"

#include <stdlib.h>

/* Views in static tables, where compound literals are no constants. */
#define B(lit)                                     \
    {                                              \
        (const uint8_t *)("" lit), sizeof(lit) - 1 \
    }

#define ROOM ((size_t)8 << 20)

static const struct {
    const char *name;
    struct nr_bytes in;
    enum nr_err err;
    size_t at;
} cases[] = {
    /* y_: must be taken */
    { "null", B("null"), NR_OK, 0 },
    { "space around", B(" \t\r\n[ ]\n "), NR_OK, 0 },
    { "number alone", B("-0"), NR_OK, 0 },
    { "string alone", B("\"\""), NR_OK, 0 },
    { "exponents", B("[1e1,1E+1,1e-1,1.0e1,0e0]"), NR_OK, 0 },
    { "long fraction", B("[0.00000000000000000000000001]"), NR_OK, 0 },
    { "all escapes", B("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00Ff\""), NR_OK, 0 },
    { "pair", B("\"\\uD801\\uDC37\""), NR_OK, 0 },
    { "last pair", B("\"\\uDBFF\\uDFFF\""), NR_OK, 0 },
    { "noncharacter", B("\"\\uFFFF\\uFDD0\""), NR_OK, 0 },
    { "escaped NUL", B("{\"\\u0000\":0}"), NR_OK, 0 },
    { "delete", B("\"\x7f\""), NR_OK, 0 },
    { "line separators", B("\"\xe2\x80\xa8\xe2\x80\xa9\""), NR_OK, 0 },
    { "utf8 of 2 to 4", B("\"\xc2\x80\xe0\xa0\x80\xf4\x8f\xbf\xbf\""), NR_OK,
        0 },
    { "empty name", B("{\"\":0}"), NR_OK, 0 },
    { "nested empties", B("[[],{},[[]]]"), NR_OK, 0 },
    { "same name apart", B("[{\"a\":1},{\"a\":{\"a\":2}}]"), NR_OK, 0 },
    { "byte order mark", B("\xef\xbb\xbf[]"), NR_OK, 0 },
    { "huge exponent", B("[1e99999]"), NR_OK, 0 },
    /* n_: must be refused, at this octet */
    { "empty", B(""), NR_ETRUNC, 0 },
    { "only space", B("  "), NR_ETRUNC, 2 },
    { "only mark", B("\xef\xbb\xbf"), NR_ETRUNC, 3 },
    { "two marks", B("\xef\xbb\xbf\xef\xbb\xbf[]"), NR_EFORMAT, 3 },
    { "mark inside", B("[\xef\xbb\xbf]"), NR_EFORMAT, 1 },
    { "comma first", B("[,1]"), NR_EFORMAT, 1 },
    { "comma last", B("[1,]"), NR_EFORMAT, 3 },
    { "commas", B("[1,,2]"), NR_EFORMAT, 3 },
    { "no comma", B("[1 2]"), NR_EFORMAT, 3 },
    { "colon for comma", B("[\"\":1]"), NR_EFORMAT, 3 },
    { "open array", B("[1"), NR_ETRUNC, 2 },
    { "open object", B("{\"a\":1"), NR_ETRUNC, 6 },
    { "wrong close", B("[}"), NR_EFORMAT, 1 },
    { "wrong close 2", B("{\"a\":1]"), NR_EFORMAT, 6 },
    { "close alone", B("]"), NR_EFORMAT, 0 },
    { "trailing close", B("[]]"), NR_EFORMAT, 2 },
    { "two values", B("[] []"), NR_EFORMAT, 3 },
    { "trailing NUL", B("[]\0"), NR_EFORMAT, 2 },
    { "comment", B("[1/*x*/]"), NR_EFORMAT, 2 },
    { "hash comment", B("#\n1"), NR_EFORMAT, 0 },
    { "form feed", B("[\f]"), NR_EFORMAT, 1 },
    { "no-break space", B("[\xc2\xa0]"), NR_EFORMAT, 1 },
    { "nan", B("NaN"), NR_EFORMAT, 0 },
    { "infinity", B("-Infinity"), NR_EFORMAT, 1 },
    { "True", B("True"), NR_EFORMAT, 0 },
    { "tru", B("tru"), NR_ETRUNC, 3 },
    { "trux", B("[trux]"), NR_EFORMAT, 4 },
    { "truex", B("truex"), NR_EFORMAT, 4 },
    { "leading zero", B("[012]"), NR_EFORMAT, 2 },
    { "minus zero lead", B("-01"), NR_EFORMAT, 2 },
    { "plus", B("+1"), NR_EFORMAT, 0 },
    { "minus alone", B("-"), NR_ETRUNC, 1 },
    { "minus letter", B("[-a]"), NR_EFORMAT, 2 },
    { "two minus", B("[--1]"), NR_EFORMAT, 2 },
    { "dot first", B("[.5]"), NR_EFORMAT, 1 },
    { "dot last", B("[5.]"), NR_EFORMAT, 3 },
    { "dot exponent", B("[5.e1]"), NR_EFORMAT, 3 },
    { "two dots", B("[1.2.3]"), NR_EFORMAT, 4 },
    { "empty exponent", B("[1e]"), NR_EFORMAT, 3 },
    { "exponent sign", B("[1e+]"), NR_EFORMAT, 4 },
    { "exponent dot", B("[1e1.5]"), NR_EFORMAT, 4 },
    { "hex", B("0x1"), NR_EFORMAT, 1 },
    { "full width digit", B("[\xef\xbc\x91]"), NR_EFORMAT, 1 },
    { "single quotes", B("['a']"), NR_EFORMAT, 1 },
    { "bare name", B("{a:1}"), NR_EFORMAT, 1 },
    { "number name", B("{1:1}"), NR_EFORMAT, 1 },
    { "no colon", B("{\"a\" 1}"), NR_EFORMAT, 5 },
    { "no value", B("{\"a\":}"), NR_EFORMAT, 5 },
    { "object comma", B("{\"a\":1,}"), NR_EFORMAT, 7 },
    { "object commas", B("{\"a\":1,,}"), NR_EFORMAT, 7 },
    { "open string", B("[\"a"), NR_ETRUNC, 3 },
    { "open escape", B("\"\\"), NR_ETRUNC, 2 },
    { "open quote", B("\"\\\""), NR_ETRUNC, 3 },
    { "unknown escape", B("\"\\x00\""), NR_EFORMAT, 2 },
    { "escaped space", B("\"a\\ b\""), NR_EFORMAT, 3 },
    { "capital U", B("\"\\U0041\""), NR_EFORMAT, 2 },
    { "short hex", B("\"\\u00A\""), NR_EFORMAT, 6 },
    { "no hex", B("\"\\u00g0\""), NR_EFORMAT, 5 },
    { "cut hex", B("\"\\u00"), NR_ETRUNC, 5 },
    { "lone high", B("\"ab\\uD800\""), NR_EFORMAT, 3 },
    { "lone low", B("\"\\uDC00\""), NR_EFORMAT, 1 },
    { "high high", B("\"\\uD800\\uD800\""), NR_EFORMAT, 1 },
    { "high letter", B("\"\\uD800a\""), NR_EFORMAT, 1 },
    { "high escape", B("\"\\uD800\\n\""), NR_EFORMAT, 1 },
    { "cut pair", B("\"\\uD800"), NR_ETRUNC, 7 },
    { "cut pair 2", B("\"\\uD800\\"), NR_ETRUNC, 8 },
    { "cut pair 3", B("\"\\uD800\\uDC"), NR_ETRUNC, 11 },
    { "line feed", B("\"a\nb\""), NR_EFORMAT, 2 },
    { "tab", B("\"\t\""), NR_EFORMAT, 1 },
    { "NUL", B("\"a\0b\""), NR_EFORMAT, 2 },
    { "utf8 alone", B("\"a\x80\""), NR_EFORMAT, 2 },
    { "utf8 overlong", B("\"\xc0\xaf\""), NR_EFORMAT, 1 },
    { "utf8 surrogate", B("\"\xed\xa0\x80\""), NR_EFORMAT, 1 },
    { "utf8 too large", B("\"\xf4\x90\x80\x80\""), NR_EFORMAT, 1 },
    { "utf8 cut inside", B("\"\xe3\x81\""), NR_EFORMAT, 1 },
    { "utf8 cut at the end", B("\"\xe3\""), NR_EFORMAT, 1 },
    { "utf8 cut by end", B("\"\xe3\x81"), NR_ETRUNC, 3 },
    { "utf8 before escape", B("\"\xff\\x\""), NR_EFORMAT, 1 },
    { "utf8 in a name", B("{\"\xff\":1}"), NR_EFORMAT, 2 },
    { "latin 1", B("[\"caf\xe9\"]"), NR_EFORMAT, 5 },
    { "utf16", B("\xff\xfe[\0]\0"), NR_EFORMAT, 0 },
    { "twin", B("{\"a\":1,\"b\":2,\"a\":3}"), NR_EFORMAT, 13 },
    { "escaped twin", B("{\"a\":1,\"\\u0061\":2}"), NR_EFORMAT, 7 },
    { "inner twin", B("[{\"x\":{\"\":0,\"\":0}}]"), NR_EFORMAT, 12 },
    { "first of twins",
        B("{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,"
          "\"h\":0,\"i\":0,\"i\":0,\"a\":0}"),
        NR_EFORMAT, 55 },
};

static void
table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_bytes in = cases[i].in;
        uint8_t *copy = malloc(in.n + 1); /* exact size but for malloc(0) */
        const struct nr_json *j = NULL;
        struct nr_diag d = { 0 };
        struct nr_arena a;
        enum nr_err err;

        assert_non_null(copy);
        memcpy(copy, in.p, in.n);
        nr_arena_init(&a, ROOM);
        err = nr_json_parse(&a, (struct nr_bytes){ copy, in.n }, &j, &d);
        CHECK_CASE(cases[i].name, err == cases[i].err);
        CHECK_CASE(cases[i].name, (err == NR_OK) == (j != NULL));
        if (err) {
            CHECK_CASE(cases[i].name, d.err == err && d.what);
            CHECK_CASE(cases[i].name, d.at == cases[i].at);
        }
        nr_arena_fini(&a);
        free(copy);
    }
}

/* Every beginning of a good text ends early; none is malformed. */
static void
beginnings(void **state)
{
    static const struct nr_bytes good = B(
        "{\"a\":[1.5e+3,\"\\ud83d\\ude00\xf0\x9f\x98\x80\\n\",true,"
        "null,{}],\"b\":-0}");
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, ROOM);
    for (size_t n = 0; n < good.n; n++) {
        const struct nr_json *j;
        struct nr_diag d = { 0 };

        assert_int_equal(nr_json_parse(&a, nr_bytes_sub(good, 0, n), &j, &d),
            NR_ETRUNC);
        assert_int_equal(d.at, n);
        assert_int_equal(nr_json_check(nr_bytes_sub(good, 0, n), NULL),
            NR_ETRUNC);
        nr_arena_reset(&a);
    }
    assert_int_equal(nr_json_check(good, NULL), NR_OK);
    nr_arena_fini(&a);
}

static void
tree(void **state)
{
    static const struct nr_bytes in = B(
        "\xef\xbb\xbf{ \"a\" : [10, -7 ,true], \"b\":\"x\\u00e9\"}");
    const struct nr_json *j, *a1;
    struct nr_arena a;
    struct nr_str s;
    int64_t v;

    (void)state;
    nr_arena_init(&a, ROOM);
    assert_int_equal(nr_json_parse(&a, in, &j, NULL), NR_OK);
    assert_int_equal(j->type, NR_JSON_OBJECT);
    assert_int_equal(j->at, 3);
    assert_int_equal(j->len, in.n - 3);
    assert_int_equal(j->n, 2);
    a1 = nr_json_get(j, NR_STR("a"));
    assert_non_null(a1);
    assert_int_equal(a1->key_at, 5);
    assert_int_equal(a1->at, 11);
    assert_int_equal(a1->n, 3);
    assert_true(nr_bytes_eq(nr_json_span(in, a1), NR_BYTES("[10, -7 ,true]")));
    assert_true(nr_bytes_eq(nr_json_span(in, a1->child->next), NR_BYTES("-7")));
    assert_true(nr_json_i64(a1->child->next, &v) && v == -7);
    assert_true(a1->child->next->next->truth);
    assert_true(nr_json_get_str(j, NR_STR("b"), &s));
    assert_true(nr_str_eq(s, NR_STR("x\xc3\xa9")));
    assert_false(nr_json_get_str(j, NR_STR("a"), &s));
    assert_null(nr_json_get(j, NR_STR("c")));
    assert_null(nr_json_get(NULL, NR_STR("c")));
    assert_null(nr_json_get(a1, NR_STR("c")));
    assert_false(nr_json_is(NULL, NR_JSON_NULL));
    nr_arena_fini(&a);
}

static void
numbers(void **state)
{
    static const struct {
        struct nr_bytes in;
        bool is_int, is_double;
        int64_t i;
        double v;
    } n[] = {
        { B("0"), true, true, 0, 0 },
        { B("-0"), true, true, 0, 0 },
        { B("9223372036854775807"), true, true, INT64_MAX, 0x1p63 },
        { B("9223372036854775808"), false, true, 0, 0x1p63 },
        { B("-9223372036854775808"), true, true, INT64_MIN, -0x1p63 },
        { B("-9223372036854775809"), false, true, 0, -0x1p63 },
        { B("1.0"), false, true, 0, 1 },
        { B("1e2"), false, true, 0, 100 },
        { B("1e400"), false, false, 0, 0 },
        { B("\"1\""), false, false, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(n) / sizeof(*n); i++) {
        const struct nr_json *j;
        struct nr_arena a;
        int64_t v = 0;
        double f = 0;

        nr_arena_init(&a, ROOM);
        assert_int_equal(nr_json_parse(&a, n[i].in, &j, NULL), NR_OK);
        CHECK_CASE((const char *)n[i].in.p, nr_json_i64(j, &v) == n[i].is_int);
        CHECK_CASE((const char *)n[i].in.p, v == n[i].i);
        CHECK_CASE((const char *)n[i].in.p,
            nr_json_double(j, &f) == n[i].is_double);
        CHECK_CASE((const char *)n[i].in.p, !(f < n[i].v) && !(f > n[i].v));
        nr_arena_fini(&a);
    }
}

static void
put_n(struct nr_buf *b, const char *s, size_t n)
{
    while (n-- > 0)
        nr_buf_put_str(b, nr_str_of(s));
}

static enum nr_err
parse_buf(const struct nr_buf *b, size_t room, size_t *at)
{
    const struct nr_json *j;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    enum nr_err err;

    nr_arena_init(&a, room);
    err = nr_json_parse(&a, nr_buf_bytes(b), &j, &d);
    nr_arena_fini(&a);
    *at = d.at;
    return err;
}

/* Both sides of every limit. */
static void
limits(void **state)
{
    struct nr_buf b;
    size_t at;

    (void)state;
    nr_buf_init(&b, ROOM);
    put_n(&b, "[", NR_JSON_DEPTH_MAX);
    put_n(&b, "]", NR_JSON_DEPTH_MAX);
    assert_int_equal(parse_buf(&b, ROOM, &at), NR_OK);
    nr_buf_reset(&b);
    put_n(&b, "[", NR_JSON_DEPTH_MAX + 1);
    assert_int_equal(parse_buf(&b, ROOM, &at), NR_ELIMIT);
    assert_int_equal(at, NR_JSON_DEPTH_MAX);

    nr_buf_reset(&b);
    put_n(&b, "7", NR_JSON_NUMBER_MAX);
    assert_int_equal(parse_buf(&b, ROOM, &at), NR_OK);
    put_n(&b, "7", 1);
    assert_int_equal(parse_buf(&b, ROOM, &at), NR_ELIMIT);

    for (size_t over = 0; over < 2; over++) {
        nr_buf_reset(&b);
        nr_buf_put_c(&b, '{');
        for (size_t i = 0; i < NR_JSON_NAMES_MAX + over; i++)
            nr_buf_printf(&b, "%s\"%zu\":0", i ? "," : "", i);
        nr_buf_put_c(&b, '}');
        assert_int_equal(parse_buf(&b, ROOM * 8, &at),
            over ? NR_ELIMIT : NR_OK);
        assert_int_equal(parse_buf(&b, ROOM / 8, &at), NR_ENOMEM);
    }
    /* A twin among very many, the last. */
    nr_buf_reset(&b);
    nr_buf_put_c(&b, '{');
    for (size_t i = 0; i < 100000; i++)
        nr_buf_printf(&b, "\"%zu\":0,", i);
    nr_buf_put_str(&b, NR_STR("\"77777\":0}"));
    assert_int_equal(parse_buf(&b, ROOM * 8, &at), NR_EFORMAT);
    assert_int_equal(at, b.n - 10);
    nr_buf_fini(&b);
}

static void
faults(void **state)
{
    static const struct nr_bytes in = B(
        "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,"
        "\"i\":[\"\\n\",{}]}");
    long n = 0;

    (void)state;
    for (bool hit = true; hit; n++) {
        const struct nr_json *j = NULL;
        struct nr_diag d = { 0 };
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, ROOM);
        nr_fault_left = n;
        nr_fault_hit = false;
        err = nr_json_parse(&a, in, &j, &d);
        hit = nr_fault_hit;
        nr_fault_left = -1;
        assert_int_equal(err, hit ? NR_ENOMEM : NR_OK);
        assert_int_equal(d.err, err);
        nr_arena_fini(&a);
    }
    assert_true(n > 1);
}

/* Each allocation refused by the arena's ceiling, not by malloc. */
static void
ceilings(void **state)
{
    static const struct nr_bytes in = B("[\"\\n\",{\"a\":0,\"b\":[1,2,3]}]");
    bool taken = false;

    (void)state;
    for (size_t room = 1; !taken; room += 16) {
        const struct nr_json *j;
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, room);
        err = nr_json_parse(&a, in, &j, NULL);
        taken = err == NR_OK;
        assert_true(taken || err == NR_ENOMEM);
        nr_arena_fini(&a);
        assert_true(room < ROOM);
    }
}

int json_io_tests(const char *dir);

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(table),
        NR_TEST(beginnings),
        NR_TEST(tree),
        NR_TEST(numbers),
        NR_TEST(limits),
        NR_TEST(faults),
        NR_TEST(ceilings),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (cmocka_run_group_tests_name("json read", tests, NULL, NULL))
        return EXIT_FAILURE;
    return json_io_tests(argc > 1 ? argv[1] : ".");
}
