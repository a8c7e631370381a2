/*
 * A builder's list as a file: parts one after the other through one buffer of
 * a page, of which the checksums are made on the way.
 */
#include "watchlist/build.h"
#include "watchlist/list.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_TRIED ((size_t)8) /* before a list is given up */
#define FILE_MAX   ((size_t)32 << 30)
#define BESIDE_MIN ((size_t)50000) /* entries for which a thread is worth it */
#define BATCH      ((size_t)64)    /* items handed to the sieve together */

struct sink {
    int fd;             /* where to, or -1: */
    struct nr_buf *mem; /* there */
    uint8_t *page;      /* NR_WL_PAGE octets */
    size_t n;           /* of them in use */
    uint64_t at;        /* octets written, those of the head counted */
    struct nr_buf sums;
    enum nr_err err;
    struct nr_diag *d;
};

static void
emit(struct sink *s, struct nr_bytes b)
{
    if (s->err != NR_OK)
        return;
    if (s->fd >= 0) {
        s->err = nr_fd_write(s->fd, b, s->d);
        return;
    }
    nr_buf_put(s->mem, b);
    if (s->mem->err != NR_OK)
        s->err = nr_fail(s->d, NR_ENOMEM, 0, "watchlist: out of memory");
}

static void
end_page(struct sink *s)
{
    struct nr_bytes page = { s->page, s->n };
    uint64_t sum = nr_xxh64(page, 0);

    if (s->n == 0)
        return;
    nr_buf_put(&s->sums,
        (struct nr_bytes){ (const uint8_t *)&sum, sizeof(sum) });
    emit(s, page);
    s->n = 0;
}

static void
put(struct sink *s, const void *from, size_t n)
{
    const uint8_t *p = from;

    s->at += n;
    while (n > 0) {
        size_t k = nr_min(n, NR_WL_PAGE - s->n);

        memcpy(s->page + s->n, p, k);
        s->n += k;
        p += k;
        n -= k;
        if (s->n == NR_WL_PAGE)
            end_page(s);
    }
}

/* Begin part PART of N elements, on a page of its own. */
static void
begin(struct sink *s, struct nr_wl_head *h, enum nr_wl_part part, uint64_t n)
{
    static const uint8_t zeros[NR_WL_ALIGN] = { 0 };

    put(s, zeros, -s->at & (NR_WL_ALIGN - 1));
    end_page(s);
    h->parts[part] = (struct nr_wl_section){ s->at, n };
}

static void
put_part(struct sink *s, struct nr_wl_head *h, enum nr_wl_part part,
    const void *from, size_t n, size_t each)
{
    begin(s, h, part, n);
    if (n > 0)
        put(s, from, n * each);
}

/* --- parts --- */

/* Of abouts only those that an entry has (the others were steps of a merge):
 * their new numbers into NUMBERS, and how many they are. */
static uint32_t
number_abouts(const struct nr_watchlist_builder *b, uint32_t *numbers)
{
    uint32_t n = 0;

    memset(numbers, 0, b->abouts.n * sizeof(*numbers));
    for (size_t i = 0; i < b->n; i++)
        numbers[b->entries[i].about] = 1;
    for (size_t i = 0; i < b->abouts.n; i++)
        if (numbers[i])
            numbers[i] = n++;
        else
            numbers[i] = UINT32_MAX;
    return n;
}

static void
put_entries(struct sink *s, struct nr_wl_head *h,
    const struct nr_watchlist_builder *b, const uint32_t *numbers)
{
    begin(s, h, NR_WL_ENTRIES, b->n);
    for (size_t i = 0; i < b->n; i++) {
        struct nr_wl_entry e = b->entries[i];

        e.about = numbers[e.about];
        put(s, &e, sizeof(e));
    }
}

/* A chain of claims is written where it first stands; FIRST remembers. */
static void
put_abouts(struct sink *s, struct nr_wl_head *h,
    const struct nr_watchlist_builder *b, const uint32_t *numbers, uint32_t n,
    struct nr_buf *claims, uint32_t *first)
{
    const struct nr_wl_about *abouts = (const void *)b->abouts.v;
    const struct nr_wl_chain *chains = (const void *)b->chains.v;
    uint32_t n_claims = 0;

    memset(first, 0xff, b->chains.n * sizeof(*first));
    begin(s, h, NR_WL_ABOUTS, n);
    for (size_t i = 0; i < b->abouts.n; i++) {
        struct nr_wl_about a = abouts[i];
        uint32_t c = a.claim_at;

        if (numbers[i] == UINT32_MAX)
            continue;
        if (first[c] == UINT32_MAX) {
            size_t k = chains[c].n, size = sizeof(struct nr_wl_claim);
            uint8_t *to = nr_buf_extend(claims, k * size);

            if (!to)
                return;
            first[c] = n_claims;
            n_claims += chains[c].n;
            for (uint32_t at = c; chains[at].n > 0; at = chains[at].parent)
                memcpy(to + --k * size, b->claims.v + chains[at].claim * size,
                    size);
        }
        a.claim_at = first[c];
        a.claim_n = chains[c].n;
        put(s, &a, sizeof(a));
    }
}

static void
put_said(struct sink *s, struct nr_wl_head *h,
    const struct nr_watchlist_builder *b)
{
    uint32_t *numbers = calloc(b->abouts.n + 1, sizeof(*numbers));
    uint32_t *first = calloc(b->chains.n + 1, sizeof(*first));
    struct nr_buf claims;

    nr_buf_init(&claims, (size_t)32 << 30);
    if (numbers && first) {
        uint32_t n = number_abouts(b, numbers);

        put_entries(s, h, b, numbers);
        put_abouts(s, h, b, numbers, n, &claims, first);
        put_part(s, h, NR_WL_CLAIMS, claims.p,
            claims.n / sizeof(struct nr_wl_claim), sizeof(struct nr_wl_claim));
    }
    if (s->err == NR_OK && (!numbers || !first || claims.err != NR_OK))
        s->err = nr_fail(s->d, NR_ENOMEM, 0, "watchlist: out of memory");
    nr_buf_fini(&claims);
    free(numbers);
    free(first);
}

/* --- what the sieve reads --- */

/* No run of used slots is longer than a look-up reads. */
static bool
runs_fit(const struct nr_sieve_slot *v, size_t n)
{
    size_t run = 0;

    if (n <= NR_WATCHLIST_PROBES)
        return true;
    for (size_t i = 0; i < n + NR_WATCHLIST_PROBES; i++) {
        run = v[i < n ? i : i - n].index1 != 0 ? run + 1 : 0;
        if (run > NR_WATCHLIST_PROBES)
            return false;
    }
    return true;
}

static void
sieve_fini(struct nr_sieve_build *sb)
{
    free(sb->filter);
    free(sb->slots);
    free(sb->nets);
    *sb = (struct nr_sieve_build){ 0 };
}

static enum nr_err
sieve_fill(const struct nr_watchlist_builder *b, struct nr_sieve_build *sb)
{
    struct nr_sieve_item items[BATCH];

    sb->key = b->key;
    sb->filter = calloc(sb->n.filter_n, sizeof(*sb->filter));
    sb->slots = calloc(sb->n.slots_n, sizeof(*sb->slots));
    sb->nets = calloc(sb->n.nets_n, sizeof(*sb->nets));
    if (!sb->filter || !sb->slots || !sb->nets)
        return NR_ENOMEM;
    nr_mem_large(sb->filter, sb->n.filter_n * sizeof(*sb->filter));
    nr_mem_large(sb->slots, sb->n.slots_n * sizeof(*sb->slots));
    for (size_t at = 0; at < b->n; at += BATCH) {
        size_t n = nr_min(BATCH, b->n - at);

        for (size_t i = 0; i < n; i++)
            items[i] = (struct nr_sieve_item){ nr_wl_key_of(b, at + i),
                b->entries[at + i].kind, (uint32_t)(at + i),
                b->hashes[at + i] };
        nr_sieve_put(sb, items, n);
    }
    return NR_OK;
}

/* The sections of B's list in *SB, to be freed also on failure. A delta keeps
 * the key of its base: NR_ELIMIT when that does not do. */
static enum nr_err
sieve_make(struct nr_watchlist_builder *b, bool keep_key,
    struct nr_sieve_build *sb, struct nr_diag *d)
{
    size_t count[NR_KINDS] = { 0 };

    for (size_t i = 0; i < b->n; i++)
        count[b->entries[i].kind]++;
    for (size_t tried = 0; tried < KEYS_TRIED; tried++) {
        enum nr_err err;

        sieve_fini(sb);
        sb->n = nr_sieve_sizes(count);
        if (sieve_fill(b, sb) != NR_OK)
            return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
        if (runs_fit(sb->slots, sb->n.slots_n))
            return NR_OK;
        if (keep_key)
            break;
        err = nr_wl_rehash(b, b->n_buckets, true, d);
        if (err != NR_OK)
            return err;
    }
    return nr_fail(d, NR_ELIMIT, 0,
        "watchlist: no key of its hashes places every value");
}

/* The sections of the sieve are made beside the writing of all that stands
 * before them in the file: they read the same, and write nothing in common. */
struct making {
    struct nr_watchlist_builder *b;
    bool keep_key;
    struct nr_sieve_build sb; /* owned */
    enum nr_err err;
    struct nr_diag d;
    bool beside; /* by THREAD */
    pthread_t thread;
};

static void *
make(void *arg)
{
    struct making *m = arg;

    m->err = sieve_make(m->b, m->keep_key, &m->sb, &m->d);
    return NULL;
}

/* A short list, or where no thread is to be had: now. */
static void
making_start(struct making *m)
{
    m->beside = m->b->n >= BESIDE_MIN && nr_thread_start(&m->thread, make, m);
    if (!m->beside)
        (void)make(m);
}

static void
making_join(struct making *m)
{
    if (m->beside)
        (void)pthread_join(m->thread, NULL);
    m->beside = false;
}

/* --- the file --- */

/* Take out what was removed: in a whole list it leaves nothing behind. */
static enum nr_err
compact(struct nr_watchlist_builder *b, struct nr_diag *d)
{
    size_t n = 0;

    if (b->n_removed == 0)
        return NR_OK;
    for (size_t i = 0; i < b->n; i++) {
        if (b->flags[i] & NR_WL_GONE)
            continue;
        b->entries[n] = b->entries[i];
        b->hashes[n] = b->hashes[i];
        b->flags[n++] = b->flags[i];
    }
    memset(b->flags + n, 0, b->n - n);
    b->n = n;
    b->n_removed = 0;
    return nr_wl_rehash(b, b->n_buckets, false, d);
}

static void
put_all(struct sink *s, struct nr_wl_head *h,
    const struct nr_watchlist_builder *b, struct making *m,
    const struct nr_wl_base *base)
{
    const struct nr_sieve_build *sb = &m->sb;

    for (size_t i = 0; i < b->n; i++)
        h->by_kind[b->entries[i].kind]++;
    put_said(s, h, b);
    put_part(s, h, NR_WL_KEYS, b->keys.p, b->keys.n, 1);
    put_part(s, h, NR_WL_STRINGS, b->strings.p, b->strings.n, 1);
    making_join(m);
    if (s->err == NR_OK && m->err != NR_OK) {
        s->err = m->err;
        if (s->d)
            *s->d = m->d;
    }
    if (s->err != NR_OK)
        return;
    h->key = sb->key;
    h->marks = sb->marks;
    put_part(s, h, NR_WL_SLOTS, sb->slots, sb->n.slots_n, sizeof(*sb->slots));
    put_part(s, h, NR_WL_FILTER, sb->filter, sb->n.filter_n,
        sizeof(*sb->filter));
    put_part(s, h, NR_WL_NETS, sb->nets, sb->n.nets_n, sizeof(*sb->nets));
    put_part(s, h, NR_WL_DEAD, base->dead, base->n_dead, sizeof(*base->dead));
    begin(s, h, NR_WL_SUMS, 0);
    h->parts[NR_WL_SUMS].n = s->sums.n / sizeof(uint64_t);
    h->size = s->at + s->sums.n;
    h->sums = nr_xxh64(nr_buf_bytes(&s->sums), 0);
    h->checksum = nr_wl_checksum(h);
    emit(s, nr_buf_bytes(&s->sums));
    if (s->err == NR_OK && s->sums.err != NR_OK)
        s->err = nr_fail(s->d, NR_ENOMEM, 0, "watchlist: out of memory");
}

/* The list to S, its head to *H (the place of which S has been given). */
static enum nr_err
encode(struct nr_watchlist_builder *b, const struct nr_wl_base *base,
    int64_t created_s, struct sink *s, struct nr_wl_head *h)
{
    struct making m = { .b = b, .keep_key = base->level > 0 };
    enum nr_err err = nr_watchlist_flush(b, s->d);

    if (err == NR_OK)
        err = compact(b, s->d);
    *h = (struct nr_wl_head){
        .magic = { 'N', 'R', 'W', 'L' },
        .version = NR_WL_VERSION,
        .head_n = sizeof(*h),
        .endian = NR_WL_ENDIAN,
        .level = base->level,
        .created_s = created_s,
        .warned = b->warned,
        .below = base->below,
        .first = base->first,
    };
    nr_buf_init(&s->sums, (size_t)32 << 20);
    s->page = malloc(NR_WL_PAGE);
    s->at = sizeof(*h);
    if (err == NR_OK && !s->page)
        err = nr_fail(s->d, NR_ENOMEM, 0, "watchlist: out of memory");
    if (err == NR_OK) {
        making_start(&m);
        put_all(s, h, b, &m, base);
        making_join(&m);
        err = s->err;
    }
    nr_buf_fini(&s->sums);
    free(s->page);
    sieve_fini(&m.sb);
    return err;
}

enum nr_err
nr_wl_encode(struct nr_watchlist_builder *b, const struct nr_wl_base *base,
    int64_t created_s, struct nr_buf *out, struct nr_diag *d)
{
    struct sink s = { .fd = -1, .mem = out, .d = d };
    struct nr_wl_head h;
    uint8_t *head = nr_buf_extend(out, sizeof(h));
    enum nr_err err;

    if (!head)
        return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
    memset(head, 0, sizeof(h));
    err = encode(b, base, created_s, &s, &h);
    if (err == NR_OK)
        memcpy(out->p, &h, sizeof(h));
    return err;
}

enum nr_err
nr_wl_write(struct nr_watchlist_builder *b, const struct nr_wl_base *base,
    const char *path, bool locked, int64_t created_s, struct nr_diag *d)
{
    struct sink s = { .d = d };
    struct nr_wl_head h = { 0 };
    struct nr_bytes head = { (const uint8_t *)&h, sizeof(h) };
    char tmp[NR_PATH_MAX];
    enum nr_err err;
    int n = snprintf(tmp, sizeof(tmp), locked ? "%s.new" : "%s.tmp.XXXXXX",
        path);

    if (n < 0 || (size_t)n >= sizeof(tmp))
        return nr_fail_name(d, NR_ELIMIT, "path: too long", path);
    if (locked) /* there is one writer: what is there was left by a crash */
        (void)unlink(tmp);
    s.fd = locked /* mode 0600: it holds the hash key */
        ? open(tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)
        : mkostemp(tmp, O_CLOEXEC);
    if (s.fd < 0)
        return nr_fail_file(d, "watchlist: create", tmp);
    err = nr_fd_write(s.fd, head, d);
    if (err == NR_OK)
        err = encode(b, base, created_s, &s, &h);
    if (err == NR_OK && lseek(s.fd, 0, SEEK_SET) != 0)
        err = nr_fail_file(d, "watchlist: seek", tmp);
    if (err == NR_OK)
        err = nr_fd_write(s.fd, head, d);
    if (err == NR_OK)
        err = nr_file_publish(s.fd, tmp, path, d);
    if (err != NR_OK)
        nr_diag_add_name(d, path);
    (void)close(s.fd);
    if (err != NR_OK)
        (void)unlink(tmp);
    return err;
}

enum nr_err
nr_watchlist_write(struct nr_watchlist_builder *b, const char *path,
    int64_t created_s, struct nr_diag *d)
{
    int fd = -1;
    enum nr_err err = nr_wl_lock(path, false, &fd, d);

    if (err == NR_OK)
        err = nr_wl_write_base(b, path, false, created_s, d);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

enum nr_err
nr_wl_lock(const char *path, bool make, int *fd, struct nr_diag *d)
{
    char name[NR_PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s.lock", path);

    *fd = -1;
    if (n < 0 || (size_t)n >= sizeof(name))
        return nr_fail_name(d, NR_ELIMIT, "path: too long", path);
    if (!make && access(name, F_OK) != 0)
        return NR_OK;
    return nr_file_lock(name, fd, d);
}

enum nr_err
nr_wl_write_base(struct nr_watchlist_builder *b, const char *path, bool locked,
    int64_t created_s, struct nr_diag *d)
{
    static const struct nr_wl_base none = { 0 };
    enum nr_err err = nr_wl_write(b, &none, path, locked, created_s, d);

    for (size_t i = 1; err == NR_OK && i <= NR_WATCHLIST_DELTAS; i++) {
        char delta[NR_PATH_MAX];

        /* one left over stands on another file and is ignored */
        if (nr_wl_delta_path(path, i, delta, NULL) == NR_OK)
            (void)unlink(delta);
    }
    return err;
}

enum nr_err
nr_watchlist_build(struct nr_watchlist_builder *b, int64_t created_s,
    struct nr_watchlist **out, struct nr_diag *d)
{
    static const struct nr_wl_base none = { 0 };
    struct nr_buf file;
    enum nr_err err;

    nr_buf_init(&file, FILE_MAX);
    err = nr_wl_encode(b, &none, created_s, &file, d);
    if (err == NR_OK)
        return nr_wl_adopt_heap(file.p, file.n, out, d); /* taken over */
    nr_buf_fini(&file);
    return err;
}
