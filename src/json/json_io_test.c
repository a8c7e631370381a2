/* Writer, stream and canonical form. */
#include "json/json.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/test.h"

#include <math.h>
#include <stdlib.h>

/* Views in static tables, where compound literals are no constants. */
#define B(lit)                                     \
    {                                              \
        (const uint8_t *)("" lit), sizeof(lit) - 1 \
    }
#define S(lit)                  \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

#define ROOM ((size_t)8 << 20)

static const char *dir; /* of the vectors */

static void
write_sample(struct nr_json_out *o)
{
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("s"), NR_STR("a\"\\\b\f\n\r\t\x01\x1f/\x7f"));
    nr_json_key(o, NR_STR("bad"));
    nr_json_put_bytes(o, NR_BYTES("x\xff\xc3y\xe7\x8b\xbc\0"));
    nr_json_member_i64(o, NR_STR("i"), INT64_MIN);
    nr_json_member_bool(o, NR_STR("t"), true);
    nr_json_key(o, NR_STR("a"));
    nr_json_open_array(o);
    nr_json_put_null(o);
    nr_json_put_double(o, -0.5);
    nr_json_open_array(o);
    nr_json_close_array(o);
    nr_json_open_object(o);
    nr_json_close_object(o);
    nr_json_put_raw(o, NR_BYTES("{\"r\":[1]}"));
    nr_json_close_array(o);
    nr_json_close_object(o);
}

static const struct nr_bytes sample = B(
    "{\"s\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\x7f\","
    "\"bad\":\"x\xef\xbf\xbd\xef\xbf\xbdy\xe7\x8b\xbc\\u0000\","
    "\"i\":-9223372036854775808,\"t\":true,"
    "\"a\":[null,-0.5,[],{},{\"r\":[1]}]}");

static void
writer(void **state)
{
    const struct nr_json *j;
    struct nr_json_out o;
    struct nr_arena a;
    struct nr_buf b, again;

    (void)state;
    nr_arena_init(&a, ROOM);
    nr_buf_init(&b, ROOM);
    nr_buf_init(&again, ROOM);
    nr_json_out_init(&o, &b);
    write_sample(&o);
    assert_int_equal(nr_json_out_end(&o), NR_OK);
    assert_true(nr_bytes_eq(nr_buf_bytes(&b), sample));

    /* indented, and back through the tree to compact */
    nr_buf_reset(&b);
    nr_json_out_init(&o, &b);
    o.indent = 2;
    write_sample(&o);
    assert_int_equal(nr_json_out_end(&o), NR_OK);
    assert_int_equal(nr_json_parse(&a, nr_buf_bytes(&b), &j, NULL), NR_OK);
    nr_json_out_init(&o, &again);
    nr_json_put_tree(&o, j);
    assert_int_equal(nr_json_out_end(&o), NR_OK);
    assert_true(nr_bytes_eq(nr_buf_bytes(&again), sample));
    nr_buf_fini(&again);
    nr_buf_fini(&b);
    nr_arena_fini(&a);
}

enum op { OBJ, END_OBJ, ARR, END_ARR, KEY, VAL, NAN_, RAW_BAD, DEEP };

/* Calls out of place: nothing is left of what was written. */
static void
misuse(void **state)
{
    static const struct {
        const char *name;
        enum op ops[6];
        size_t n;
    } uses[] = {
        { "nothing", { 0 }, 0 },
        { "two values", { VAL, VAL }, 2 },
        { "value after close", { ARR, END_ARR, VAL }, 3 },
        { "open left", { ARR, VAL }, 2 },
        { "wrong close", { ARR, END_OBJ }, 2 },
        { "wrong close 2", { OBJ, END_ARR }, 2 },
        { "close too much", { ARR, END_ARR, END_ARR }, 3 },
        { "value without name", { OBJ, VAL, END_OBJ }, 3 },
        { "array without name", { OBJ, ARR, END_ARR, END_OBJ }, 4 },
        { "name in array", { ARR, KEY, END_ARR }, 3 },
        { "name outside", { KEY, VAL }, 2 },
        { "two names", { OBJ, KEY, KEY, VAL, END_OBJ }, 5 },
        { "name without value", { OBJ, KEY, END_OBJ }, 3 },
        { "not a number", { NAN_ }, 1 },
        { "raw that is none", { ARR, RAW_BAD, END_ARR }, 3 },
        { "too deep", { DEEP }, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(uses) / sizeof(*uses); i++) {
        struct nr_json_out o;
        struct nr_buf b;

        nr_buf_init(&b, ROOM);
        nr_buf_put_str(&b, NR_STR("before"));
        nr_json_out_init(&o, &b);
        for (size_t k = 0; k < uses[i].n; k++) {
            switch (uses[i].ops[k]) {
            case OBJ:
                nr_json_open_object(&o);
                break;
            case END_OBJ:
                nr_json_close_object(&o);
                break;
            case ARR:
                nr_json_open_array(&o);
                break;
            case END_ARR:
                nr_json_close_array(&o);
                break;
            case KEY:
                nr_json_key(&o, NR_STR("k"));
                break;
            case VAL:
                nr_json_put_null(&o);
                break;
            case NAN_:
                nr_json_put_double(&o, (double)NAN);
                break;
            case RAW_BAD:
                nr_json_put_raw(&o, NR_BYTES("1 2"));
                break;
            case DEEP:
                for (size_t n = 0; n <= NR_JSON_DEPTH_MAX; n++)
                    nr_json_open_array(&o);
                for (size_t n = 0; n <= NR_JSON_DEPTH_MAX; n++)
                    nr_json_close_array(&o);
                break;
            }
        }
        CHECK_CASE(uses[i].name, nr_json_out_end(&o) == NR_EFORMAT);
        CHECK_CASE(uses[i].name,
            nr_bytes_eq(nr_buf_bytes(&b), NR_BYTES("before")));
        nr_buf_fini(&b);
    }
}

static void
writer_limits(void **state)
{
    (void)state;
    for (size_t max = 1; max <= sample.n + 8; max++) {
        struct nr_json_out o;
        struct nr_buf b;
        enum nr_err err;

        nr_buf_init(&b, max);
        nr_json_out_init(&o, &b);
        write_sample(&o);
        err = nr_json_out_end(&o);
        assert_true(err ? err == NR_ELIMIT && b.n == 0 : b.n == sample.n);
        nr_buf_fini(&b);
    }
}

static void
check_canon(struct nr_bytes in, struct nr_bytes want)
{
    const struct nr_json *j;
    struct nr_arena a;
    struct nr_buf b;

    nr_arena_init(&a, ROOM);
    nr_buf_init(&b, ROOM);
    assert_int_equal(nr_json_parse(&a, in, &j, NULL), NR_OK);
    assert_int_equal(nr_json_canon(&a, j, &b, NULL), NR_OK);
    assert_true(nr_bytes_eq(nr_buf_bytes(&b), want));
    nr_buf_fini(&b);
    nr_arena_fini(&a);
}

static struct nr_bytes
vector(struct nr_arena *a, const char *name)
{
    struct nr_bytes in = { 0 };
    char path[NR_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/rfc8785/%s", dir, name);
    assert_int_equal(nr_file_read(a, path, ROOM, &in, NULL), NR_OK);
    return in;
}

static void
canonical(void **state)
{
    static const char *const names[] = { "arrays.json", "french.json",
        "structures.json", "unicode.json", "values.json", "weird.json" };
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, ROOM);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char in[64], out[64];

        (void)snprintf(in, sizeof(in), "input/%s", names[i]);
        (void)snprintf(out, sizeof(out), "output/%s", names[i]);
        check_canon(vector(&a, in), vector(&a, out));
    }
    check_canon(NR_BYTES("{\"\xef\xbf\xbd\":1,\"\xf0\x9f\x98\x80\":2,\"z\":3}"),
        NR_BYTES("{\"z\":3,\"\xf0\x9f\x98\x80\":2,\"\xef\xbf\xbd\":1}"));
    check_canon(NR_BYTES("[[],{},[{\"b\":[],\"a\":{}}],-0.0]"),
        NR_BYTES("[[],{},[{\"a\":{},\"b\":[]}],0]"));
    nr_arena_fini(&a);
}

static void
canonical_refused(void **state)
{
    const struct nr_json *j;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    struct nr_buf b;

    (void)state;
    nr_arena_init(&a, ROOM);
    nr_buf_init(&b, ROOM);
    assert_int_equal(nr_json_parse(&a, NR_BYTES("[1,1e400]"), &j, NULL), NR_OK);
    assert_int_equal(nr_json_canon(&a, j, &b, &d), NR_EFORMAT);
    assert_int_equal(d.at, 3);
    assert_int_equal(b.n, 0);
    nr_buf_fini(&b);
    nr_arena_fini(&a);
}

/* Lines "hex of the double,its text". */
static void
es6_numbers(void **state)
{
    struct nr_bytes in;
    struct nr_arena a;
    struct nr_str rest;
    size_t n = 0;

    (void)state;
    nr_arena_init(&a, ROOM);
    in = vector(&a, "es6-numbers.txt");
    assert_true(nr_str_from_utf8(in, &rest));
    while (rest.n > 0) {
        struct nr_str want,
            hex = nr_str_cut(nr_str_cut(rest, '\n', &rest), ',', &want);
        struct nr_json_out o;
        struct nr_buf b;
        uint64_t bits = 0;
        double v;

        for (size_t i = 0; i < hex.n; i++)
            bits = bits << 4 | nr_hex_value((uint8_t)hex.p[i]);
        memcpy(&v, &bits, sizeof(v));
        nr_buf_init(&b, ROOM);
        nr_json_out_init(&o, &b);
        nr_json_put_double(&o, v);
        assert_int_equal(nr_json_out_end(&o), NR_OK);
        if (!nr_bytes_eq(nr_buf_bytes(&b), nr_bytes_of(want)))
            fail_msg("%.*s: want %.*s", NR_FMT(hex), NR_FMT(want));
        nr_buf_fini(&b);
        n++;
    }
    assert_true(n >= 2000);
    nr_arena_fini(&a);
}

/* What a stream handed out: member texts and their offsets, one a line. */
struct taken {
    struct nr_buf log;
    size_t stop_after; /* 0: never */
    size_t n;
};

static enum nr_err
take(void *ctx, const struct nr_json *value, struct nr_bytes text,
    struct nr_diag *d)
{
    struct taken *t = ctx;

    nr_buf_printf(&t->log, "%zu+%zu:", value->at, value->len);
    nr_buf_put(&t->log, text);
    nr_buf_put_c(&t->log, '\n');
    if (++t->n == t->stop_after)
        return nr_fail(d, NR_EDENIED, value->at, "enough");
    return NR_OK;
}

static enum nr_err
stream(struct nr_bytes in, size_t chunk, struct nr_str name, struct taken *t,
    bool *found, struct nr_diag *d)
{
    struct nr_json_stream_conf conf = {
        .name = name,
        .member_max = 1 << 16,
        .envelope_max = 1 << 12,
        .member = take,
        .ctx = t,
    };
    struct nr_json_stream *s = nr_json_stream_create(&conf);
    const struct nr_json *envelope = NULL;
    enum nr_err err = NR_OK;

    if (!s)
        return nr_fail(d, NR_ENOMEM, 0, "stream");
    for (size_t i = 0; i < in.n && !err; i += chunk)
        err = nr_json_stream_feed(s,
            nr_bytes_sub(in, i, i + chunk < in.n ? i + chunk : in.n), d);
    if (!err)
        err = nr_json_stream_end(s, &envelope, found, d);
    if (!err)
        assert_non_null(envelope);
    nr_json_stream_destroy(s);
    return err;
}

static const struct {
    const char *name;
    struct nr_bytes in;
    struct nr_str array;
    enum nr_err err;
    size_t at;
    bool found;
    struct nr_bytes log;
} streams[] = {
    { "bundle",
        B("\xef\xbb\xbf {\"type\":\"bundle\", \"objects\" : [ {\"a\":"
          "\"]},\\\"\"} ,[1,[2]], 3 ] , \"x\":[9]} "),
        S("objects"), NR_OK, 0, true,
        B("36+13:{\"a\":\"]},\\\"\"}\n51+7:[1,[2]]\n60+1:3\n") },
    { "empty array", B("{\"objects\":[ ]}"), S("objects"), NR_OK, 0, true,
        B("") },
    { "none", B("{\"x\":{\"objects\":[1]}}"), S("objects"), NR_OK, 0, false,
        B("") },
    { "not an array", B("{\"objects\":7}"), S("objects"), NR_OK, 0, false,
        B("") },
    { "escaped name", B("{\"\\u006fbjects\":[1]}"), S("objects"), NR_OK, 0,
        true, B("17+1:1\n") },
    { "whole text", B(" [1, {\"a\":[]}]"), S(""), NR_OK, 0, true,
        B("2+1:1\n5+8:{\"a\":[]}\n") },
    { "whole text is none", B("{\"a\":[1]}"), S(""), NR_OK, 0, false, B("") },
    { "value as name", B("{\"a\":\"objects\",\"b\":[1]}"), S("objects"), NR_OK,
        0, false, B("") },
    { "twin", B("{\"objects\":[1],\"objects\":[2]}"), S("objects"), NR_EFORMAT,
        15, false, B("12+1:1\n") },
    { "twin of another type", B("{\"objects\":[1],\"objects\":2}"),
        S("objects"), NR_EFORMAT, 15, false, B("12+1:1\n") },
    { "comma last", B("{\"objects\":[1,]}"), S("objects"), NR_EFORMAT, 14,
        false, B("12+1:1\n") },
    { "comma first", B("{\"objects\":[,1]}"), S("objects"), NR_EFORMAT, 12,
        false, B("") },
    { "no comma", B("{\"objects\":[1 2]}"), S("objects"), NR_EFORMAT, 14, false,
        B("") },
    { "bad member", B("{\"objects\":[1,{\"a\":tru}]}"), S("objects"),
        NR_EFORMAT, 22, false, B("12+1:1\n") },
    { "wrong close", B("{\"objects\":[1}"), S("objects"), NR_ETRUNC, 14, false,
        B("") },
    { "open array", B("{\"objects\":[1,2"), S("objects"), NR_ETRUNC, 15, false,
        B("12+1:1\n") },
    { "open object", B("{\"objects\":[1,2]"), S("objects"), NR_ETRUNC, 16,
        false, B("12+1:1\n14+1:2\n") },
    { "after the array", B("{\"objects\":[1,2] 5}"), S("objects"), NR_EFORMAT,
        17, false, B("12+1:1\n14+1:2\n") },
    { "trailing", B("[1]]"), S(""), NR_EFORMAT, 3, false, B("1+1:1\n") },
    { "empty", B(""), S("objects"), NR_ETRUNC, 0, false, B("") },
};

static void
streaming(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
        for (size_t chunk = 1; chunk <= 64; chunk++) {
            struct taken t = { 0 };
            struct nr_diag d = { 0 };
            bool found = false;
            enum nr_err err;

            nr_buf_init(&t.log, ROOM);
            err = stream(streams[i].in, chunk, streams[i].array, &t, &found,
                &d);
            CHECK_CASE(streams[i].name, err == streams[i].err);
            CHECK_CASE(streams[i].name, d.at == streams[i].at);
            CHECK_CASE(streams[i].name, found == streams[i].found);
            CHECK_CASE(streams[i].name,
                nr_bytes_eq(nr_buf_bytes(&t.log), streams[i].log));
            nr_buf_fini(&t.log);
        }
    }
}

/* The callback's error stops the stream; limits hold; memory stays flat. */
static void
stream_limits(void **state)
{
    struct taken t = { .stop_after = 2 };
    struct nr_diag d = { 0 };
    struct nr_buf b;
    bool found;

    (void)state;
    nr_buf_init(&t.log, ROOM);
    nr_buf_init(&b, ROOM);
    assert_int_equal(stream(NR_BYTES("[1,2,3]"), 100, NR_STR(""), &t, &found,
                         &d),
        NR_EDENIED);
    assert_int_equal(d.at, 3);
    assert_int_equal(t.n, 2);

    t.stop_after = 0;
    for (size_t over = 0; over < 2; over++) {
        nr_buf_reset(&b);
        nr_buf_put_str(&b, NR_STR("[\""));
        for (size_t i = 0; i < (1 << 16) - 2 + over; i++)
            nr_buf_put_c(&b, 'x');
        nr_buf_put_str(&b, NR_STR("\"]"));
        assert_int_equal(stream(nr_buf_bytes(&b), 1000, NR_STR(""), &t, &found,
                             NULL),
            over ? NR_ELIMIT : NR_OK);
    }
    nr_buf_reset(&b);
    nr_buf_put_str(&b, NR_STR("{\"x\":\""));
    for (size_t i = 0; i < 1 << 12; i++)
        nr_buf_put_c(&b, 'x');
    nr_buf_put_str(&b, NR_STR("\"}"));
    assert_int_equal(stream(nr_buf_bytes(&b), 1000, NR_STR(""), &t, &found,
                         NULL),
        NR_ELIMIT);
    nr_buf_fini(&b);
    nr_buf_fini(&t.log);
}

static void
stream_faults(void **state)
{
    static const struct nr_bytes in = B(
        "{\"a\":1,\"objects\":[{\"k\":\"\\n\"},2],\"b\":2}");
    long n = 0;

    (void)state;
    for (bool hit = true; hit; n++) {
        struct taken t = { 0 };
        bool found = false;
        enum nr_err err;

        nr_buf_init(&t.log, ROOM);
        assert_non_null(nr_buf_extend(&t.log, 4096));
        nr_buf_reset(&t.log);
        nr_fault_left = n;
        nr_fault_hit = false;
        err = stream(in, 7, NR_STR("objects"), &t, &found, NULL);
        hit = nr_fault_hit;
        nr_fault_left = -1;
        assert_int_equal(err, hit ? NR_ENOMEM : NR_OK);
        nr_buf_fini(&t.log);
    }
    assert_true(n > 5);
}

int json_io_tests(const char *testdata);

int
json_io_tests(const char *testdata)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(writer),
        NR_TEST(misuse),
        NR_TEST(writer_limits),
        NR_TEST(canonical),
        NR_TEST(canonical_refused),
        NR_TEST(es6_numbers),
        NR_TEST(streaming),
        NR_TEST(stream_limits),
        NR_TEST(stream_faults),
    };

    dir = testdata;
    return cmocka_run_group_tests_name("json write", tests, NULL, NULL);
}
