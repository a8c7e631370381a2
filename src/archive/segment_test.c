#include "archive/segment.h"

#include "base/file.h"
#include "base/test.h"
#include "observable/observable.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/noroshi-segment-XXXXXX";

static void
put_block(struct seg_writer *w, const char *text, uint32_t lines,
    const struct seg_block *row)
{
    struct seg_block b = *row;
    struct nr_buf meta;

    b.lines = lines;
    b.first_line = 1;
    nr_buf_init(&meta, 1000);
    seg_put_varint(&meta, seg_zigzag(1000) << 3);
    for (uint32_t i = 1; i < lines; i++)
        seg_put_varint(&meta, i % 2 ? seg_zigzag(-3) << 3 | 1 : 4);
    assert_int_equal(seg_writer_block(w, nr_bytes_of(nr_str_of(text)),
                         nr_buf_bytes(&meta), &b, NULL),
        NR_OK);
    nr_buf_fini(&meta);
}

static void
put_entry(struct seg_index *x, enum seg_class c, uint64_t hi, uint64_t lo,
    uint64_t lines, const struct seg_place *places, size_t n)
{
    struct seg_entry e = { .key = { hi, lo },
        .lines = lines,
        .denied = lines > 3,
        .first_s = lines > 3 ? 4 : NR_TIME_NONE,
        .last_s = lines > 3 ? 86400 + 1 : NR_TIME_NONE,
        .sources = lines == 3 ? 9 : 4,
        .places = places,
        .n_places = n };

    seg_index_put(x, c, &e);
}

/* Two blocks, one file, five keys. */
static void
write_one(uint64_t seq)
{
    static const struct seg_place both[] = { { 0, 0 }, { 0, 2 }, { 1, 1 } },
                                  untimed[] = { { 0, INT32_MIN }, { 1, 1 } },
                                  second[] = { { 1, 1 } };
    /* the first block has three days, the second one; both of source 2 */
    static const struct seg_block rows[] = {
        { .source = 2, .first_s = 5, .last_s = 2 * 86400 },
        { .source = 2, .first_s = 86400, .last_s = 86500 },
    };
    struct seg_info info = { .lines = 4,
        .text = 50,
        .first_s = 1000,
        .last_s = 1100,
        .sources = 5,
        .kinds = 1 };
    struct seg_file f = { .id = 77,
        .head_n = 3,
        .to = 50,
        .lines = 4,
        .open_at = 50,
        .name = NR_STR("a.log") };
    struct seg_writer *w = NULL;
    struct seg_index x;
    struct nr_buf *out;
    struct nr_diag d = { 0 };
    uint64_t size = 0;

    assert_int_equal(seg_writer_open(dir, seq, NULL, &w, &d), NR_OK);
    put_block(w, "one evil.example\ntwo\n", 2, &rows[0]);
    put_block(w, "three three three three three three three\nx\ny\n", 3,
        &rows[1]);
    seg_index_init(&x, rows, 2);
    put_entry(&x, SEG_V4, 0, 0x01020304, 4, both, 3);
    put_entry(&x, SEG_V4, 0, 0xc0000201, 1, second, 1);
    put_entry(&x, SEG_V6, 1, 2, 3, untimed, 2);
    put_entry(&x, SEG_NAME, 0, UINT64_C(0x1234) << 24, 2, second, 1);
    put_entry(&x, SEG_NAME, 0, (UINT64_C(0x1234) << 24) + 1, 4, both, 3);
    seg_put_info(seg_writer_section(w, SEG_SEC_INFO, 1), &info, x.keys);
    seg_put_file(seg_writer_section(w, SEG_SEC_FILES, 1), &f);
    (void)seg_writer_section(w, SEG_SEC_BLOCKS, 0);
    out = seg_writer_section(w, SEG_SEC_PRESENCE, 1);
    nr_buf_put_le(out, 3, 1);
    nr_buf_put_le(out, 1, 1);
    nr_buf_put_le(out, 4, 8);
    nr_buf_put_le(out, 17000, 4);
    nr_buf_put_le(out, 1, 4);
    nr_buf_put_le(out, 9, 1);
    assert_int_equal(seg_index_end(&x, w), NR_OK);
    seg_index_fini(&x);
    assert_int_equal(seg_writer_publish(w, &size, &d), NR_OK);
    seg_writer_close(w);
}

static void
test_numbers(void **state)
{
    static const uint64_t cases[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX,
        INT64_MAX, UINT64_MAX };
    static const int64_t is[] = { 0, -1, 1, INT64_MIN, INT64_MAX, -64, 64 };
    struct nr_buf b;
    struct nr_cur c;

    (void)state;
    nr_buf_init(&b, 1000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        seg_put_varint(&b, cases[i]);
    c = nr_cur(nr_buf_bytes(&b));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(seg_get_varint(&c) == cases[i]);
    assert_int_equal(nr_cur_left(&c), 0);
    for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++)
        assert_true(seg_unzigzag(seg_zigzag(is[i])) == is[i]);
    c = nr_cur(NR_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    (void)seg_get_varint(&c);
    assert_int_equal(c.err, NR_EFORMAT);
    c = nr_cur(NR_BYTES("\x80"));
    (void)seg_get_varint(&c);
    assert_int_equal(c.err, NR_ETRUNC);
    nr_buf_fini(&b);
}

static void
test_keys(void **state)
{
    enum seg_class c;
    struct seg_key a, b;

    (void)state;
    assert_true(seg_key_of(NR_KIND_IPV4, NR_BYTES("\xc0\0\x02\x01"), &c, &a));
    assert_int_equal(c, SEG_V4);
    assert_true(a.hi == 0 && a.lo == 0xc0000201);
    assert_true(seg_key_of(NR_KIND_IPV6,
        NR_BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"), &c, &a));
    assert_int_equal(c, SEG_V6);
    assert_true(a.hi == UINT64_C(0x20010db800000000) && a.lo == 9);
    /* One text as two kinds is two fingerprints. */
    assert_true(seg_key_of(NR_KIND_DOMAIN, NR_BYTES("a.example"), &c, &a));
    assert_true(seg_key_of(NR_KIND_URL, NR_BYTES("a.example"), &c, &b));
    assert_int_equal(c, SEG_NAME);
    assert_true(a.lo != b.lo);
    assert_false(seg_key_of(NR_KIND_CVE, NR_BYTES("CVE-2017-0199"), &c, &a));
    assert_false(seg_key_of(NR_KIND_IPV4, NR_BYTES("ab"), &c, &a));
}

static void
test_round(void **state)
{
    struct segment *s = NULL;
    struct seg_file *files;
    struct seg_presence p;
    struct seg_posting post;
    struct seg_block b;
    struct seg_text t;
    struct nr_arena a;
    struct nr_cur c;
    struct nr_diag d = { 0 };
    uint64_t at;
    int64_t prev = 0;
    size_t n;

    (void)state;
    nr_arena_init(&a, 1 << 20);
    write_one(9);
    assert_int_equal(segment_open(dir, "0000000000000009.seg", NULL, &s, &d),
        NR_OK);
    assert_int_equal(segment_info(s)->seq, 9);
    assert_int_equal(segment_info(s)->lines, 4);
    assert_int_equal(segment_info(s)->observables, 5);
    assert_int_equal(segment_files(s, &a, &files, &n, &d), NR_OK);
    assert_int_equal(n, 1);
    assert_true(nr_str_eq(files[0].name, NR_STR("a.log")));
    assert_int_equal(files[0].id, 77);
    assert_int_equal(segment_presence_begin(s, &c, &d), NR_OK);
    assert_true(segment_presence_next(&c, &p));
    assert_int_equal(p.first_day, 17000);
    assert_int_equal(p.days.p[0], 9);
    assert_false(segment_presence_next(&c, &p));
    /* keys and postings */
    assert_int_equal(segment_seek(s, SEG_V4, 0,
                         (struct seg_key){ 0, 0x01020305 }, &at, &d),
        NR_OK);
    assert_int_equal(at, 1);
    assert_int_equal(segment_seek(s, SEG_V4, 0,
                         (struct seg_key){ 0, UINT32_MAX }, &at, &d),
        NR_OK);
    assert_int_equal(at, 2);
    assert_int_equal(segment_posting(s, SEG_V4, 1, &a, &post, &d), NR_OK);
    assert_true(post.in_block);
    assert_int_equal(post.lines, 1);
    assert_int_equal(post.n_blocks, 1);
    assert_int_equal(post.blocks[0], 1);
    assert_int_equal(post.sources, 4);
    assert_int_equal(segment_posting(s, SEG_V4, 0, &a, &post, &d), NR_OK);
    assert_false(post.in_block);
    assert_int_equal(post.lines, 4);
    assert_int_equal(post.denied, 1);
    assert_int_equal(post.first_s, 4);
    assert_int_equal(post.last_s, 86401);
    assert_int_equal(post.sources, 4);
    assert_int_equal(post.n_blocks, 2);
    assert_int_equal(post.n_days, 3);
    assert_int_equal(post.days[2], 2);
    assert_int_equal(segment_posting(s, SEG_V6, 0, &a, &post, &d), NR_OK);
    assert_int_equal(post.n_blocks, 2);
    assert_int_equal(post.sources, 9);
    assert_true(post.first_s == NR_TIME_NONE);
    assert_int_equal(post.n_days, 1);
    /* two values with one stored key are two entries */
    assert_int_equal(segment_seek(s, SEG_NAME, 0,
                         (struct seg_key){ 0, (UINT64_C(0x1234) << 24) + 5 },
                         &at, &d),
        NR_OK);
    assert_int_equal(at, 0);
    assert_int_equal(segment_posting(s, SEG_NAME, 0, &a, &post, &d), NR_OK);
    assert_true(post.in_block && post.lines == 0);
    assert_int_equal(segment_posting(s, SEG_NAME, 1, &a, &post, &d), NR_OK);
    assert_int_equal(post.n_blocks, 2);
    assert_int_equal(segment_posting(s, SEG_V6, 1, &a, &post, NULL),
        NR_EDAMAGED);
    /* blocks */
    seg_text_init(&t);
    assert_int_equal(segment_block(s, 0, &b, &d), NR_OK);
    assert_int_equal(segment_read(s, &b, &t, &d), NR_OK);
    assert_true(nr_bytes_eq(t.text, NR_BYTES("one evil.example\ntwo\n")));
    c = nr_cur(t.meta);
    assert_int_equal(seg_meta_next(&c, &prev).time_s, 1000);
    assert_int_equal(seg_meta_next(&c, &prev).time_s, 997);
    assert_int_equal(segment_block(s, 2, &b, NULL), NR_EDAMAGED);
    seg_text_fini(&t);
    assert_int_equal(segment_verify(s, &d), NR_OK);
    segment_close(s);
    nr_arena_fini(&a);
}

static enum nr_err
look(struct nr_bytes in, struct nr_diag *d)
{
    struct segment *s = NULL;
    enum nr_err err = segment_open_mem(in, 0, &s, d);

    if (!err)
        err = segment_verify(s, d);
    segment_close(s);
    return err;
}

/* Any octet changed, any octet lost, any octet more is found and named. */
static void
test_damage(void **state)
{
    char path[NR_PATH_MAX];
    struct nr_arena a;
    struct nr_bytes in;
    uint8_t *copy;

    (void)state;
    nr_arena_init(&a, 1 << 20);
    write_one(3);
    assert_int_equal(nr_path_join(path, dir, "0000000000000003.seg", NULL),
        NR_OK);
    assert_int_equal(nr_file_read(&a, path, 1 << 20, &in, NULL), NR_OK);
    copy = nr_new(&a, uint8_t, in.n + 1);
    memcpy(copy, in.p, in.n);
    assert_int_equal(look((struct nr_bytes){ copy, in.n }, NULL), NR_OK);
    for (size_t i = 0; i < in.n; i++) {
        struct nr_diag d = { 0 };
        enum nr_err err;

        copy[i] ^= (uint8_t)(1u << (i % 8));
        err = look((struct nr_bytes){ copy, in.n }, &d);
        if (err != NR_EDAMAGED || d.name[0] == '\0')
            fail_msg("octet %zu of %zu changed: %s", i, in.n, nr_err_name(err));
        copy[i] = in.p[i];
    }
    for (size_t n = 0; n < in.n; n++)
        assert_int_equal(look((struct nr_bytes){ copy, n }, NULL), NR_EDAMAGED);
    assert_int_equal(look((struct nr_bytes){ copy, in.n + 1 }, NULL),
        NR_EDAMAGED);
    nr_arena_fini(&a);
}

/* What is not published does not exist and leaves nothing behind. */
static void
test_abandoned(void **state)
{
    struct seg_writer *w = NULL;
    struct nr_names names;
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, 1 << 20);
    assert_int_equal(seg_writer_open(dir, 4, NULL, &w, NULL), NR_OK);
    put_block(w, "abc\n", 1, &(struct seg_block){ .first_s = 7 });
    seg_writer_close(w);
    assert_int_equal(nr_dir_list(&a, dir, 100, &names, NULL), NR_OK);
    for (size_t i = 0; i < names.n; i++)
        assert_null(strstr(names.v[i], "0000000000000004"));
    nr_arena_fini(&a);
}

static int
setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
    struct nr_names names;
    struct nr_arena a;
    char path[NR_PATH_MAX];

    (void)state;
    nr_arena_init(&a, 1 << 20);
    if (nr_dir_list(&a, dir, 100, &names, NULL) == NR_OK)
        for (size_t i = 0; i < names.n; i++)
            if (nr_path_join(path, dir, names.v[i], NULL) == NR_OK)
                (void)unlink(path);
    nr_arena_fini(&a);
    return rmdir(dir);
}

static void
test_url_origin(void **state)
{
    static const struct {
        const char *url, *origin;
    } rows[] = {
        { "http://a.example/b?c", "http://a.example" },
        { "http://a.example", "http://a.example" },
        { "https://a.example:8443?x=@y", "https://a.example:8443" },
        { "http://me:word@a.example:80/p@q", "http://a.example:80" },
        { "http://a@b@c.example#f", "http://c.example" },
        { "//a.example/x", "" },
        { "a.example/x", "a.example" },
        { "http://[2001:db8::1]:80/", "http://[2001:db8::1]:80" },
        { "http:///x", "http://" },
        { "http://a.example\\b", "http://a.example" },
        { "", "" },
    };

    uint8_t buf[SEG_ORIGIN_MAX], url[4096];
    struct nr_bytes o;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        o = seg_url_origin((struct nr_bytes){ (const uint8_t *)rows[i].url,
                               strlen(rows[i].url) },
            buf);
        assert_int_equal(o.n, strlen(rows[i].origin));
        assert_memory_equal(o.p, rows[i].origin, o.n);
    }
    /* what is too long is cut, and never written beyond */
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://u@", 9);
    o = seg_url_origin((struct nr_bytes){ url, sizeof(url) }, buf);
    assert_int_equal(o.n, SEG_ORIGIN_MAX);
    url[sizeof(url) - 3] = '@';
    memset(url + 7, 'b', 2);
    o = seg_url_origin((struct nr_bytes){ url, sizeof(url) }, buf);
    assert_int_equal(o.n, 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_numbers),
        NR_TEST(test_keys),
        NR_TEST(test_url_origin),
        NR_TEST(test_round),
        NR_TEST(test_damage),
        NR_TEST(test_abandoned),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
