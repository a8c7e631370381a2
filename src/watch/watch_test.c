/*
 * The room by its public header: what was planted in texts of known shape is
 * found once, where it stands, in order, by any number of threads, over blocks,
 * long lines, new lists, stops and restarts.
 */
#include "watch/watch_test.h"

static void
planted_rows_in_order(void **state)
{
    struct bed *b = *state;
    struct row *want = calloc(ROWS_MAX, sizeof(*want));
    uint8_t(*ids)[NR_HIT_ID] = calloc(ROWS_MAX, sizeof(*ids));
    struct nr_buf text;
    size_t n;

    assert_true(want && ids);
    nr_buf_init(&text, TEXT_MAX);
    n = make_text(&text, 40 * NR_WATCH_BLOCK, LONGEST, SEED, want);
    put(b, "log", nr_buf_bytes(&text), 0);
    for (unsigned threads = 1; threads <= THREADS; threads++) {
        struct nr_watch_stats s;

        b->n = 0;
        b->conf.threads = threads;
        begin(b, LIST);
        add(b, "log");
        run(b);
        assert_int_equal(b->n, n);
        for (size_t i = 0; i < n; i++) {
            same_place(&b->rows[i], &want[i]);
            if (threads == 1)
                memcpy(ids[i], b->rows[i].id, NR_HIT_ID);
            assert_memory_equal(ids[i], b->rows[i].id, NR_HIT_ID);
            assert_true(i == 0 || memcmp(ids[i], ids[i - 1], NR_HIT_ID) != 0);
        }
        s = stats_of(b);
        assert_int_equal(s.threads, threads);
        assert_int_equal(s.hits, n);
        assert_int_equal(s.octets, text.n);
        assert_int_equal(s.size, text.n);
        assert_int_equal(s.size_done, text.n);
        assert_int_equal(s.files, 1);
        assert_int_equal(s.failed, 0);
        assert_int_equal(s.indicators, 2);
    }
    nr_buf_fini(&text);
    free(ids);
    free(want);
}

static void
odd_files(void **state)
{
    struct bed *b = *state;
    struct nr_watch_stats s;
    static const struct row want[] = {
        { .line = 1, .file_line = 1, .at = 0, .observed = "192.0.2.7" },
        { .line = 3, .file_line = 3, .at = 11, .observed = "evil.example" },
        { .line = 4, .file_line = 1, .at = 0, .observed = "evil.example" },
        { .line = 7, .file_line = 1, .at = 0, .observed = "192.0.2.7" },
    };

    put_str(b, "a", "192.0.2.7\n\nevil.example"); /* no LF at the end */
    put_str(b, "b", "");
    put_str(b, "c", "evil.example\n\n\n");
    put_str(b, "d", "192.0.2.7\r\n");
    begin(b, LIST);
    add(b, "a");
    add(b, "b");
    add(b, "missing");
    add(b, "c");
    add(b, "d");
    run(b);
    assert_int_equal(b->n, sizeof(want) / sizeof(*want));
    for (size_t i = 0; i < b->n; i++)
        same_place(&b->rows[i], &want[i]);
    assert_string_equal(b->rows[3].file, "d");
    assert_string_equal(nr_buf_cstr(&b->troubles), "7:missing;");
    s = stats_of(b);
    assert_int_equal(s.lines, 7);
    assert_int_equal(s.files, 4);
    assert_int_equal(s.failed, 1);
}

/* A line of several pieces is one line, and says each indicator once. */
static void
long_line(void **state)
{
    struct bed *b = *state;
    struct nr_buf text;

    nr_buf_init(&text, TEXT_MAX);
    nr_buf_printf(&text, "first\nlong ");
    for (size_t i = 0; text.n < 5 * NR_LINE_MAX; i++)
        nr_buf_printf(&text, i % 20000 == 19999 ? " evil.example" : " word");
    nr_buf_printf(&text, " 192.0.2.7\nlast evil.example\n");
    put(b, "log", nr_buf_bytes(&text), 0);
    for (unsigned threads = 1; threads <= THREADS; threads++) {
        b->n = 0;
        b->conf.threads = threads;
        begin(b, LIST);
        add(b, "log");
        run(b);
        assert_int_equal(b->n, 3);
        assert_int_equal(b->rows[0].line, 2);
        assert_int_equal(b->rows[0].at, 6);
        assert_int_equal(b->rows[1].line, 2);
        assert_int_equal(b->rows[1].at, 6);
        assert_string_equal(b->rows[1].observed, "192.0.2.7");
        assert_int_equal(b->rows[2].line, 3);
        assert_int_equal(b->rows[2].file_line, 3);
        assert_int_equal(b->rows[2].at, text.n - strlen("last evil.example\n"));
        assert_int_equal(stats_of(b).lines, 3);
    }
    nr_buf_fini(&text);
}

/* --- stopping, waiting, failing --- */

static void
slow_sink_holds_reading_back(void **state)
{
    struct bed *b = *state;
    struct row *want = calloc(ROWS_MAX, sizeof(*want));
    struct nr_buf text;
    size_t n;

    assert_non_null(want);
    nr_buf_init(&text, TEXT_MAX);
    n = make_text(&text, 60 * NR_WATCH_BLOCK, 200, SEED + 1, want);
    put(b, "log", nr_buf_bytes(&text), 0);
    for (unsigned threads = 1; threads <= 2; threads++) {
        b->n = 0;
        b->ahead = 0;
        b->wait_full = true;
        b->conf.threads = threads;
        begin(b, LIST);
        add(b, "log");
        run(b);
        assert_int_equal(b->n, n);
        assert_in_range(b->ahead, NR_WATCH_BLOCK, AHEAD(threads));
    }
    nr_buf_fini(&text);
    free(want);
}

static void
stop_and_failure(void **state)
{
    struct bed *b = *state;
    struct row *want = calloc(ROWS_MAX, sizeof(*want));
    struct nr_diag d = { 0 };
    struct nr_buf text;
    size_t n;

    assert_non_null(want);
    nr_buf_init(&text, TEXT_MAX);
    n = make_text(&text, 120 * NR_WATCH_BLOCK, LONGEST, SEED + 2, want);
    put(b, "log", nr_buf_bytes(&text), 0);
    b->conf.threads = 1; /* a ring much shorter than the text */
    b->stop_at = 1;
    begin(b, LIST);
    add(b, "log");
    run(b);
    assert_in_range(b->n, 1, n - 1);
    for (size_t i = 0; i < b->n; i++)
        same_place(&b->rows[i], &want[i]);
    assert_int_equal(text.p[stats_of(b).octets - 1], '\n');
    b->n = b->stop_at = 0;
    b->conf.threads = THREADS;
    b->fail_at = 5;
    begin(b, LIST);
    add(b, "log");
    assert_int_equal(nr_watch_run(b->w, &d), NR_ELIMIT);
    assert_string_equal(d.what, "test: enough");
    assert_int_equal(b->n, 5);
    nr_buf_fini(&text);
    free(want);
}

/* --- lists --- */

static void *
swap_again_and_again(void *of)
{
    struct bed *b = of;
    const struct timespec tick = { .tv_nsec = 200000 };

    for (int i = 0; i < 200; i++) {
        nr_watch_swap(b->w,
            list_of(i % 2 ? "domain\ta1.example\ndomain\ta2.example\n"
                          : "domain\tb1.example\ndomain\tb2.example\n"));
        (void)nanosleep(&tick, NULL);
    }
    return NULL;
}

/* Every line has the names of two lists: those of one are told, whole. */
static void
no_line_by_half_a_list(void **state)
{
    struct bed *b = *state;
    const size_t lines = ROWS_MAX / 4;
    struct nr_buf text;
    pthread_t t;
    size_t of_b = 0;

    nr_buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < lines; i++)
        nr_buf_printf(&text,
            "a1.example b1.example and some more octets of a line that is not "
            "short, so that there are many blocks to be judged and lists to be "
            "taken while that goes on b2.example a2.example\n");
    put(b, "log", nr_buf_bytes(&text), 0);
    b->conf.threads = 3;
    b->to = list_of("domain\tb1.example\ndomain\tb2.example\n");
    begin(b, "domain\ta1.example\ndomain\ta2.example\n");
    add(b, "log");
    assert_int_equal(pthread_create(&t, NULL, swap_again_and_again, b), 0);
    run(b);
    (void)pthread_join(t, NULL);
    assert_int_equal(b->n, 2 * lines);
    for (size_t i = 0; i < lines; i++) {
        const struct row *x = &b->rows[2 * i], *y = x + 1;

        assert_int_equal(x->line, i + 1);
        assert_int_equal(y->line, i + 1);
        assert_int_equal(x->version, y->version);
        assert_int_equal(x->observed[0], y->observed[0]);
        assert_int_not_equal(x->observed[1], y->observed[1]);
        of_b += x->observed[0] == 'b';
    }
    assert_in_range(of_b, 1, lines - 1);
    assert_int_equal(stats_of(b).swaps, 201);
    nr_buf_fini(&text);
}

/* With `follow` all that is there is read, then it waits until it is stopped:
 * what has no LF yet is told then. */
static void
follow_until_stopped(void **state)
{
    struct bed *b = *state;

    put_str(b, "log", "evil.example\nand 192.0.2.7");
    b->conf.follow = b->stop_idle = true;
    b->conf.threads = 2;
    begin(b, LIST);
    add(b, "log");
    run(b);
    assert_int_equal(b->n, 2);
    assert_string_equal(b->rows[1].observed, "192.0.2.7");
    assert_int_equal(b->rows[1].line, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(planted_rows_in_order),
        BED_TEST(odd_files),
        BED_TEST(long_line),
        BED_TEST(slow_sink_holds_reading_back),
        BED_TEST(stop_and_failure),
        BED_TEST(no_line_by_half_a_list),
        BED_TEST(follow_until_stopped),
    };

    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
