/* NR_WATCHLIST_MAX: nothing takes, writes nor opens more; a base starts at 0. */
#include "base/test.h"

#include "base/file.h"
#include "base/num.h"
#include "watchlist/build.h"
#include "watchlist/watchlist.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEW ((size_t)100) /* of a builder whose limit is near */

static const uint64_t key[2] = { 1, 2 };

static enum nr_err
add(struct nr_watchlist_builder *b, size_t i, struct nr_diag *d)
{
    uint8_t a[4] = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
    struct nr_indicator ind = nr_indicator_of(NR_KIND_IPV4,
        (struct nr_bytes){ a, sizeof(a) });

    return nr_watchlist_add(b, &ind, d);
}

/* FEW indicators, and room for no more. */
static struct nr_watchlist_builder *
full(void)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(key);

    assert_non_null(b);
    assert_int_equal(b->max, NR_WATCHLIST_MAX);
    b->max = FEW;
    for (size_t i = 0; i < FEW; i++)
        assert_int_equal(add(b, i, NULL), NR_OK);
    return b;
}

static void
test_adding(void **state)
{
    struct nr_watchlist_builder *b = full();
    struct nr_diag d = { 0 };
    uint32_t about = 0;
    struct nr_indicator ind = nr_indicator_of(NR_KIND_IPV4,
        NR_BYTES("\1\2\3\4"));

    (void)state;
    assert_int_equal(add(b, FEW, &d), NR_ELIMIT);
    assert_non_null(strstr(d.what, "more than 50000000 indicators"));
    assert_int_equal(add(b, FEW - 1, NULL), NR_OK); /* it is there */
    assert_int_equal(nr_watchlist_about(b, &ind, &about, NULL), NR_OK);
    assert_int_equal(nr_watchlist_reserve(b, SIZE_MAX / 2, NULL), NR_OK);
    assert_int_equal(nr_watchlist_add_key(b, ind.kind, ind.key, about, NULL),
        NR_OK); /* it waits */
    assert_int_equal(nr_watchlist_flush(b, NULL), NR_ELIMIT);
    assert_int_equal(nr_watchlist_builder_count(b), FEW);
    nr_watchlist_builder_destroy(b);
}

/* A list that changes would bring over the limit stays as it was. */
static void
test_changing(void **state)
{
    static const char *const ends[] = { "", ".d1", ".lock", NULL };
    char dir[] = "/tmp/nr-limit-XXXXXX", path[1024];
    struct nr_watchlist_builder *b = full();
    struct nr_watchlist *w = NULL;
    struct nr_diag d = { 0 };

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/l", dir);
    assert_int_equal(nr_watchlist_write(b, path, 0, NULL), NR_OK);
    nr_watchlist_builder_destroy(b);
    b = nr_watchlist_builder_create(key);
    b->max = FEW;
    assert_int_equal(add(b, FEW, NULL), NR_OK);
    assert_int_equal(nr_watchlist_update(path, b, 1, NULL, &d), NR_ELIMIT);
    assert_non_null(strstr(d.what, "more than 50000000 indicators"));
    assert_int_equal(nr_watchlist_open(path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), FEW);
    nr_watchlist_close(w);
    b->max = FEW + 1;
    assert_int_equal(nr_watchlist_update(path, b, 1, NULL, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), FEW + 1);
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
    for (const char *const *end = ends; *end; end++) {
        char name[NR_PATH_MAX];

        (void)snprintf(name, sizeof(name), "%s%s", path, *end);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(dir), 0);
}

/* A sound head of a list of N entries; the file has them as a hole. */
static void
write_hollow(int fd, size_t n)
{
    struct nr_wl_head h = { .magic = { 'N', 'R', 'W', 'L' },
        .version = NR_WL_VERSION,
        .head_n = sizeof(h),
        .endian = NR_WL_ENDIAN };
    uint64_t at = sizeof(h), pages = 0;
    uint8_t *zeros;

    for (size_t k = 0; k < NR_WL_PARTS_USED; k++) {
        enum nr_wl_part part = nr_wl_order[k];
        uint64_t octets = 0, end;

        h.parts[part].at = at;
        if (part == NR_WL_ENTRIES) {
            h.parts[part].n = n;
            octets = n * sizeof(struct nr_wl_entry);
        } else if (part == NR_WL_SLOTS || part == NR_WL_FILTER ||
            part == NR_WL_NETS) {
            h.parts[part].n = 1;
            octets = 8;
        }
        end = (at + octets + NR_WL_ALIGN - 1) & ~(NR_WL_ALIGN - 1);
        if (part != NR_WL_SUMS)
            pages += (end - at + NR_WL_PAGE - 1) / NR_WL_PAGE;
        at = end;
    }
    h.parts[NR_WL_SUMS].n = pages;
    h.size = h.parts[NR_WL_SUMS].at + pages * sizeof(uint64_t);
    zeros = calloc(pages, sizeof(uint64_t));
    assert_non_null(zeros);
    h.sums = nr_xxh64((struct nr_bytes){ zeros, pages * sizeof(uint64_t) }, 0);
    free(zeros);
    h.checksum = nr_wl_checksum(&h);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(ftruncate(fd, (off_t)h.size), 0);
    assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
}

static void
test_opening(void **state)
{
    char path[] = "/tmp/nr-limit-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    struct nr_watchlist *w = NULL;
    struct nr_diag d = { 0 };

    (void)state;
    assert_true(fd >= 0);
    write_hollow(fd, NR_WATCHLIST_MAX);
    assert_int_equal(nr_watchlist_open(path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), NR_WATCHLIST_MAX);
    assert_int_equal(nr_watchlist_verify(w, NULL), NR_EDAMAGED);
    nr_watchlist_close(w);
    write_hollow(fd, NR_WATCHLIST_MAX + 1);
    assert_int_equal(nr_watchlist_open(path, &w, &d), NR_ELIMIT);
    assert_non_null(strstr(d.what, "more than 50000000 indicators"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(close(fd), 0);
}

/* The first indicator of a base is number 0. */
static void
test_first(void **state)
{
    struct nr_watchlist_builder *b = full();
    static const struct nr_wl_base base = { 0 };
    struct nr_watchlist *w = NULL;
    struct nr_wl_head h;
    struct nr_buf file;

    (void)state;
    nr_buf_init(&file, (size_t)1 << 24);
    assert_int_equal(nr_wl_encode(b, &base, 0, &file, NULL), NR_OK);
    assert_int_equal(nr_watchlist_decode(nr_buf_bytes(&file), &w, NULL), NR_OK);
    nr_watchlist_close(w);
    memcpy(&h, file.p, sizeof(h));
    h.first = 1;
    h.checksum = nr_wl_checksum(&h);
    memcpy(file.p, &h, sizeof(h));
    assert_int_equal(nr_watchlist_decode(nr_buf_bytes(&file), &w, NULL),
        NR_EDAMAGED);
    nr_buf_fini(&file);
    nr_watchlist_builder_destroy(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_adding),
        NR_TEST(test_changing),
        NR_TEST(test_opening),
        NR_TEST(test_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
