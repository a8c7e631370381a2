#include "base/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cur.h"
#include "base/date.h"
#include "base/env.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void
test_arena(void **state)
{
    struct nr_arena a;
    uint64_t *v;
    uint8_t *big;

    (void)state;
    nr_arena_init(&a, 1024 * 1024);
    v = nr_new(&a, uint64_t, 3);
    assert_non_null(v);
    assert_int_equal((uintptr_t)v % _Alignof(uint64_t), 0);
    assert_int_equal(v[0] | v[1] | v[2], 0);
    assert_null(nr_new(&a, uint64_t, SIZE_MAX / 4));
    big = nr_new(&a, uint8_t, 512 * 1024);
    assert_non_null(big);
    assert_null(nr_new(&a, uint8_t, 700 * 1024)); /* past the ceiling */
    nr_arena_reset(&a);
    assert_non_null(nr_new(&a, uint8_t, 700 * 1024));
    nr_arena_fini(&a);
}

static void
test_buf(void **state)
{
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, 600);
    nr_buf_put_str(&b, NR_STR("ab"));
    nr_buf_printf(&b, "%d-%s", 17, "x");
    nr_buf_put_c(&b, '!');
    nr_buf_put_le(&b, 0x0201, 2);
    assert_true(nr_bytes_eq(nr_buf_bytes(&b), NR_BYTES("ab17-x!\x01\x02")));
    assert_non_null(nr_buf_extend(&b, 580));
    assert_null(nr_buf_extend(&b, 100));
    assert_int_equal(b.err, NR_ELIMIT);
    nr_buf_put_c(&b, 'z'); /* sticky */
    assert_int_equal(b.n, 589);
    nr_buf_reset(&b);
    assert_int_equal(b.err, NR_OK);
    assert_string_equal(nr_buf_cstr(&b), "");
    nr_buf_fini(&b);
}

static void
test_buf_fault(void **state)
{
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, 600);
    nr_fault_left = 0;
    nr_buf_put_c(&b, 'x');
    nr_fault_left = -1;
    assert_int_equal(b.err, NR_ENOMEM);
    assert_int_equal(b.n, 0);
    nr_buf_fini(&b);
}

static void
test_utf8(void **state)
{
    static const struct {
        const char *name, *in;
        size_t n, valid;
    } cases[] = {
        { "ascii", "abc", 3, 3 },
        { "japanese", "\xe7\x8b\xbc\xe7\x85\x99", 6, 6 },
        { "highest", "\xf4\x8f\xbf\xbf", 4, 4 },
        { "past U+10FFFF", "a\xf4\x90\x80\x80", 5, 1 },
        { "surrogate", "\xed\xa0\x80", 3, 0 },
        { "overlong 2", "\xc0\x80", 2, 0 },
        { "overlong 3", "\xe0\x9f\xbf", 3, 0 },
        { "overlong 4", "\xf0\x8f\xbf\xbf", 4, 0 },
        { "cut", "ab\xe7\x8b", 4, 2 },
        { "lone continuation", "\x80", 1, 0 },
        { "nul", "a\0b", 3, 3 },
        { "empty", "", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_bytes in = { (const uint8_t *)cases[i].in, cases[i].n };
        struct nr_str s;

        CHECK_CASE(cases[i].name, nr_utf8_valid_len(in) == cases[i].valid);
        CHECK_CASE(cases[i].name,
            nr_str_from_utf8(in, &s) == (cases[i].valid == cases[i].n));
    }
}

static void
test_numbers(void **state)
{
    uint64_t v;
    size_t n;

    (void)state;
    assert_true(nr_str_to_u64(NR_STR("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_false(nr_str_to_u64(NR_STR("18446744073709551616"), &v));
    assert_false(nr_str_to_u64(NR_STR(""), &v));
    assert_false(nr_str_to_u64(NR_STR("-1"), &v));
    assert_false(nr_str_to_u64(NR_STR("1 "), &v));
    assert_false(nr_mul(SIZE_MAX, 2, &n));
    assert_int_equal(n, 0);
    assert_false(nr_add(SIZE_MAX, 1, &n));
}

static void
test_cursor(void **state)
{
    struct nr_cur c = nr_cur(NR_BYTES("\x01\x02\x03\x04\x05\x06\x07"));

    (void)state;
    assert_int_equal(nr_cur_be16(&c), 0x0102);
    assert_int_equal(nr_cur_le32(&c), 0x06050403);
    assert_int_equal(nr_cur_be16(&c), 0);
    assert_int_equal(c.err, NR_ETRUNC);
    assert_int_equal(nr_cur_u8(&c), 0); /* sticky: the octet stays */
    assert_int_equal(nr_cur_left(&c), 1);
}

static void
test_time_parse(void **state)
{
    static const struct {
        const char *in;
        int64_t us; /* NR_TIME_NONE: refused */
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2017-08-21T09:00:00+09:00", INT64_C(1503273600) * 1000000 },
        { "2017-08-21 00:00:00.25z", INT64_C(1503273600) * 1000000 + 250000 },
        { "2016-02-29T12:00:00.123456789Z",
            INT64_C(1456747200) * 1000000 + 123456 },
        { "1969-12-31T23:59:59.5Z", -500000 },
        { "2017-02-29T12:00:00Z", NR_TIME_NONE },
        { "2017-13-01T12:00:00Z", NR_TIME_NONE },
        { "2017-08-21T24:00:00Z", NR_TIME_NONE },
        { "2017-08-21T00:00:00", NR_TIME_NONE },
        { "2017-08-21T00:00:00.Z", NR_TIME_NONE },
        { "2017-08-21T00:00:00Zx", NR_TIME_NONE },
        { "2017-08-21T00:00:00+9", NR_TIME_NONE },
        { "", NR_TIME_NONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_bytes in = nr_bytes_of(nr_str_of(cases[i].in));
        int64_t us = NR_TIME_NONE;
        enum nr_err err = nr_rfc3339_parse(in, &us, NULL);

        CHECK_CASE(cases[i].in, us == cases[i].us);
        CHECK_CASE(cases[i].in, (err == NR_OK) == (us != NR_TIME_NONE));
    }
}

static void
test_calendar(void **state)
{
    char text[NR_RFC3339_MAX];
    int64_t s, east;

    (void)state;
    for (int64_t day = -800000; day < 800000; day += 17) {
        struct nr_civil c = nr_civil_from_s(day * NR_S_PER_DAY + 3723);

        assert_true(nr_days_from_civil(c.year, c.month, c.day) == day);
        assert_true(c.hour == 1 && c.minute == 2 && c.second == 3);
    }
    assert_string_equal(nr_time_print(1503273600, text),
        "2017-08-21T00:00:00Z");
    assert_string_equal(nr_time_print_us(-1, text),
        "1969-12-31T23:59:59.999999Z");
    assert_string_equal(nr_day_print(17399, text), "2017-08-21");
    assert_int_equal(nr_time_parse(NR_STR("2017-08-21"), &s, NULL), NR_OK);
    assert_true(s == 1503273600);
    assert_int_equal(nr_time_parse(NR_STR("1503273600"), &s, NULL), NR_OK);
    assert_true(s == 1503273600);
    assert_int_equal(nr_time_parse(NR_STR("2017-8-21"), &s, NULL), NR_EFORMAT);
    assert_true(nr_zone_parse(NR_STR("-0330"), &east) && east == -12600);
    assert_false(nr_zone_parse(NR_STR("+9"), &east));
    assert_true(nr_day_of(-1) == -1 && nr_day_of(86399) == 0);
}

/* Digests of "abc": FIPS 180-4 examples; UUIDv5: RFC 9562 A.4. */
static void
test_hash(void **state)
{
    static const uint8_t dns[16] = { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11,
        0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 };
    struct nr_sha256 *h = nr_sha256_create();
    uint8_t digest[NR_SHA256_LEN], back[NR_SHA256_LEN];
    char hex[2 * NR_SHA256_LEN + 1], uuid[NR_UUID_MAX];

    (void)state;
    nr_sha256(NR_BYTES("abc"), digest);
    nr_hex_print((struct nr_bytes){ digest, sizeof(digest) }, hex);
    assert_string_equal(hex,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_non_null(h);
    nr_sha256_update(h, NR_BYTES("a"));
    nr_sha256_update(h, NR_BYTES("bc"));
    nr_sha256_digest(h, back);
    nr_sha256_destroy(h);
    assert_memory_equal(digest, back, sizeof(digest));
    assert_true(nr_hex_parse(nr_bytes_of(nr_str_of(hex)), back, sizeof(back)));
    assert_memory_equal(digest, back, sizeof(digest));
    assert_false(nr_hex_parse(NR_BYTES("0g"), back, 1));
    assert_false(nr_hex_parse(NR_BYTES("000"), back, 1));
    nr_uuid5(dns, NR_BYTES("www.example.com"), uuid);
    assert_string_equal(uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void
test_table(void **state)
{
    static char keys[1000][8];
    struct nr_table t;
    bool added;

    (void)state;
    nr_table_init(&t, 7);
    assert_null(nr_table_get(&t, NR_BYTES("x")));
    for (size_t i = 0; i < 1000; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        assert_non_null(
            nr_table_put(&t, nr_bytes_of(nr_str_of(keys[i])), i, &added));
        assert_true(added);
    }
    assert_int_equal(t.n, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(*nr_table_get(&t, nr_bytes_of(nr_str_of(keys[i]))), i);
    assert_int_equal(*nr_table_put(&t, NR_BYTES("k7"), 99, &added), 7);
    assert_false(added);
    nr_table_fini(&t);
}

static void
test_files(void **state)
{
    char dir[] = "/tmp/nr-base-XXXXXX", path[NR_PATH_MAX], lock[NR_PATH_MAX];
    struct nr_diag d = { 0 };
    struct nr_names names;
    struct nr_bytes text;
    struct nr_arena a;
    int fd, other;

    (void)state;
    assert_non_null(mkdtemp(dir));
    nr_arena_init(&a, 1 << 20);
    assert_int_equal(nr_path_join(path, dir, "f", NULL), NR_OK);
    assert_int_equal(nr_path_join(lock, dir, "lock", NULL), NR_OK);
    assert_int_equal(nr_file_read(&a, path, 10, &text, &d), NR_ENOTFOUND);
    assert_string_equal(d.name, path);
    assert_int_equal(nr_file_replace(path, NR_BYTES("old"), 0600, NULL), NR_OK);
    assert_int_equal(nr_file_replace(path, NR_BYTES("newer"), 0600, NULL),
        NR_OK);
    assert_int_equal(nr_file_read(&a, path, 5, &text, NULL), NR_OK);
    assert_true(nr_bytes_eq(text, NR_BYTES("newer")));
    assert_int_equal(nr_file_read(&a, path, 4, &text, NULL), NR_ELIMIT);
    assert_int_equal(nr_file_read(&a, dir, 4, &text, NULL), NR_ESYS);
    assert_int_equal(nr_file_lock(lock, &fd, NULL), NR_OK);
    assert_int_equal(nr_file_lock(lock, &other, NULL), NR_EBUSY);
    close(fd);
    assert_int_equal(nr_file_lock(lock, &fd, NULL), NR_OK);
    close(fd);
    assert_int_equal(nr_dir_list(&a, dir, 2, &names, NULL), NR_OK);
    assert_int_equal(names.n, 2); /* no temporary file was left behind */
    assert_string_equal(names.v[0], "f");
    assert_int_equal(nr_dir_list(&a, dir, 1, &names, NULL), NR_ELIMIT);
    assert_int_equal(nr_dir_make(path, 0700, NULL), NR_ESYS);
    unlink(path);
    unlink(lock);
    rmdir(dir);
    nr_arena_fini(&a);
}

static void
test_diag(void **state)
{
    struct nr_diag d = { 0 };
    char line[256];

    (void)state;
    errno = EACCES;
    nr_fail_file(&d, "list: open", "/x\n/y");
    nr_fail(&d, NR_EFORMAT, 3, "second failure"); /* the first one wins */
    nr_diag_print(&d, line, sizeof(line));
    assert_string_equal(line, "/x?/y: list: open: Permission denied");
    d = (struct nr_diag){ 0 };
    nr_fail(&d, NR_EFORMAT, 17, "json: no value");
    nr_diag_print(&d, line, sizeof(line));
    assert_string_equal(line, "json: no value (at octet 17)");
}

static void
test_env(void **state)
{
    int64_t offset = -INT64_C(1000000) * 3600 * 24 * 365;
    uint8_t a[16] = { 0 }, b[16] = { 0 };
    struct nr_env env;

    (void)state;
    nr_env_system(&env, &offset);
    assert_true(env.now_us(env.ctx) > INT64_C(1700000000) * 1000000 + offset);
    assert_int_equal(env.random(env.ctx, a, sizeof(a)), NR_OK);
    assert_int_equal(env.random(env.ctx, b, sizeof(b)), NR_OK);
    assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_arena),
        NR_TEST(test_buf),
        NR_TEST(test_buf_fault),
        NR_TEST(test_utf8),
        NR_TEST(test_numbers),
        NR_TEST(test_cursor),
        NR_TEST(test_time_parse),
        NR_TEST(test_calendar),
        NR_TEST(test_hash),
        NR_TEST(test_table),
        NR_TEST(test_files),
        NR_TEST(test_diag),
        NR_TEST(test_env),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
