/*
 * What is kept over a restart: nothing twice, nothing missing, whatever became
 * of the files; streams and feeds with their places.
 */
#include "watch/watch_test.h"

/* Stopped again and again, the watch tells what it tells in one go. */
static void
state_goes_on(void **state)
{
    struct bed *b = *state;
    struct row *want = calloc(ROWS_MAX, sizeof(*want));
    char path[2 * NAME_LEN];
    struct nr_buf text;
    size_t n, runs = 0;

    assert_non_null(want);
    nr_buf_init(&text, TEXT_MAX);
    n = make_text(&text, 50 * NR_WATCH_BLOCK, LONGEST, SEED + 3, want);
    put(b, "log", nr_buf_bytes(&text), 0);
    begin(b, LIST);
    add(b, "log");
    run(b);
    memcpy(want, b->rows, n * sizeof(*want));
    b->n = 0;
    b->conf.state = in_dir(b, "state", path);
    b->conf.mark = on_mark;
    b->conf.cut = on_cut;
    for (size_t had = SIZE_MAX; had != b->n; runs++) {
        had = b->n;
        b->conf.threads = 1 + (unsigned)runs % 2;
        b->stop_at = b->n + 1;
        b->fail_at = runs % 3 == 2 ? b->n + 3 : 0; /* as if it had died */
        begin(b, LIST);
        add(b, "log");
        if (nr_watch_run(b->w, NULL) != NR_OK) {
            assert_int_equal(b->n, b->fail_at);
            had = SIZE_MAX; /* the next run cuts what it told */
        }
    }
    assert_in_range(runs, 5, 500);
    assert_int_equal(b->n, n);
    for (size_t i = 0; i < n; i++) {
        same_place(&b->rows[i], &want[i]);
        assert_memory_equal(b->rows[i].id, want[i].id, NR_HIT_ID);
    }
    nr_buf_fini(&text);
    free(want);
}

static void
state_is_refused_when_damaged(void **state)
{
    struct bed *b = *state;
    char path[2 * NAME_LEN];
    struct nr_arena a;
    struct nr_bytes all;

    put_str(b, "log", "evil.example\n");
    b->conf.state = in_dir(b, "state", path);
    begin(b, LIST);
    add(b, "log");
    run(b);
    assert_int_equal(b->n, 1);
    nr_watch_free(b->w);
    b->w = NULL;
    nr_arena_init(&a, TEXT_MAX);
    assert_int_equal(nr_file_read(&a, path, TEXT_MAX, &all, NULL), NR_OK);
    for (size_t i = 0; i < all.n; i++) {
        uint8_t *p = (uint8_t *)(uintptr_t)all.p; /* the arena's, ours */
        enum nr_err err;

        p[i] ^= 0x40;
        put(b, "state", all, O_TRUNC);
        err = open_watch(b, LIST);
        assert_true(err == NR_EDAMAGED || (i < 8 && err == NR_EFORMAT));
        p[i] ^= 0x40;
        put(b, "state", nr_bytes_sub(all, 0, i), O_TRUNC);
        err = open_watch(b, LIST);
        assert_true(err == NR_EDAMAGED || (i < 8 && err == NR_EFORMAT));
    }
    put(b, "state", all, O_TRUNC);
    begin(b, LIST); /* as it was, it is taken, and nothing is told twice */
    add(b, "log");
    run(b);
    assert_int_equal(b->n, 1);
    nr_arena_fini(&a);
}

static void
state_has_one_user(void **state)
{
    struct bed *b = *state;
    char path[2 * NAME_LEN];
    struct nr_watch *second = NULL;

    b->conf.state = in_dir(b, "state", path);
    begin(b, LIST);
    assert_int_equal(nr_watch_new(&b->conf, list_of(LIST), &second, NULL),
        NR_EBUSY);
    assert_null(second);
}

/* Rotated, cut and begun anew while nobody looked. */
static void
state_knows_files(void **state)
{
    struct bed *b = *state;
    char path[2 * NAME_LEN], from[2 * NAME_LEN], to[2 * NAME_LEN];
    static const char *const want[] = { "a1.evil.example", "a2.evil.example",
        "a3.evil.example", "a4.evil.example", "a5.evil.example" };

    b->conf.state = in_dir(b, "state", path);
    put_str(b, "log", "a1.evil.example one\n");
    begin(b, LIST);
    add(b, "log");
    run(b);
    /* it got a line, was renamed, and the new one has one */
    put(b, "log", NR_BYTES("a2.evil.example two\n"), O_APPEND);
    assert_int_equal(rename(in_dir(b, "log", from), in_dir(b, "log.1", to)), 0);
    put_str(b, "log", "a3.evil.example three\n");
    begin(b, LIST);
    add(b, "log");
    run(b);
    /* copied and cut short: the copy has what nobody saw */
    put_str(b, "log.2", "a1.evil.example one\na2.evil.example two\n");
    put_str(b, "log.1", "a3.evil.example three\na4.evil.example four\n");
    put_str(b, "log", "a5.evil.example five\n");
    begin(b, LIST);
    add(b, "log");
    run(b);
    assert_int_equal(b->n, sizeof(want) / sizeof(*want));
    for (size_t i = 0; i < b->n; i++) {
        assert_string_equal(b->rows[i].observed, want[i]);
        assert_int_equal(b->rows[i].line, i + 1);
    }
    assert_int_equal(b->troubles.n, 0);
}

/* --- streams and feeds --- */

static void
stream_of_a_pipe(void **state)
{
    struct bed *b = *state;
    const char text[] = "x evil.example\ny\n192.0.2.7 z\n";
    int p[2];

    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    assert_int_equal(write(p[1], text, strlen(text)), (ssize_t)strlen(text));
    (void)close(p[1]);
    begin(b, LIST);
    assert_int_equal(nr_watch_add_fd(b->w, p[0], "origin", NULL), NR_OK);
    run(b);
    assert_int_equal(b->n, 2);
    assert_string_equal(b->rows[0].file, "origin");
    assert_int_equal(b->rows[1].line, 3);
    assert_int_equal(b->rows[1].at, 17);
    (void)close(p[0]);
}

/* Pieces of two senders by turns; the fourth is the end. */
struct fed {
    size_t next;
    bool finished;
};

static enum nr_err
next_piece(void *ctx, struct nr_watch_piece *out, struct nr_diag *d)
{
    const struct nr_watch_piece pieces[] = {
        { NR_BYTES("evil.example\n\n"), 0, "left", NR_STR("c1"), false },
        { NR_BYTES("192.0.2.7\n"), 1, "right", NR_STR(""), false },
        { NR_BYTES("evil.example\n"), 0, "left", NR_STR("c2"), false },
        { .end = true },
    };
    struct fed *f = ctx;

    (void)d;
    *out = pieces[f->next];
    f->next += f->next + 1 < sizeof(pieces) / sizeof(*pieces);
    return NR_OK;
}

static void
finish_feed(void *ctx)
{
    struct fed *f = ctx;

    f->finished = true;
}

static void
feed_and_its_cursor(void **state)
{
    struct bed *b = *state;
    struct fed fed = { 0 };
    char path[2 * NAME_LEN], cursor[NR_WATCH_CURSOR_MAX];
    struct nr_watch_feed f = { .next = next_piece,
        .finish = finish_feed,
        .ctx = &fed };
    static const struct row want[] = {
        { .line = 1, .file_line = 1, .at = 0, .observed = "evil.example" },
        { .line = 3, .file_line = 1, .at = 0, .observed = "192.0.2.7" },
        { .line = 4, .file_line = 3, .at = 14, .observed = "evil.example" },
    };

    f.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    b->conf.state = in_dir(b, "state", path);
    begin(b, LIST);
    assert_int_equal(nr_watch_add_feed(b->w, &f, NULL), NR_OK);
    run(b);
    assert_int_equal(b->n, 3);
    for (size_t i = 0; i < b->n; i++)
        same_place(&b->rows[i], &want[i]);
    assert_string_equal(b->rows[1].file, "right");
    assert_int_equal(nr_watch_state_cursor(path, "left", cursor, sizeof(cursor),
                         NULL),
        NR_OK);
    assert_string_equal(cursor, "c2");
    assert_int_equal(nr_watch_state_cursor(path, "right", cursor,
                         sizeof(cursor), NULL),
        NR_OK);
    assert_string_equal(cursor, "");
    assert_int_equal(nr_watch_state_cursor("/nonexistent", "left", cursor,
                         sizeof(cursor), NULL),
        NR_OK);
    assert_string_equal(cursor, "");
    (void)close(f.fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(state_goes_on),
        BED_TEST(state_is_refused_when_damaged),
        BED_TEST(state_has_one_user),
        BED_TEST(state_knows_files),
        BED_TEST(stream_of_a_pipe),
        BED_TEST(feed_and_its_cursor),
    };

    return cmocka_run_group_tests_name("watch resumed", tests, NULL, NULL);
}
