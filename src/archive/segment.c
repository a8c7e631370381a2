#include "archive/segment_in.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"
#include "observable/observable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define VERIFY_MEMORY ((size_t)1 << 20) /* of postings, then given back */

bool
seg_key_of(unsigned kind, struct nr_bytes key, enum seg_class *c,
    struct seg_key *out)
{
    switch (kind) {
    case NR_KIND_IPV4:
    case NR_KIND_CIDR4:
        if (key.n < 4)
            return false;
        *c = SEG_V4;
        *out = (struct seg_key){ 0,
            (uint64_t)key.p[0] << 24 | (uint64_t)key.p[1] << 16 |
                (uint64_t)key.p[2] << 8 | key.p[3] };
        return true;
    case NR_KIND_IPV6:
    case NR_KIND_CIDR6:
        if (key.n < 16)
            return false;
        *c = SEG_V6;
        *out = (struct seg_key){ be64(key.p), be64(key.p + 8) };
        return true;
    case NR_KIND_DOMAIN:
    case NR_KIND_URL:
    case NR_KIND_EMAIL:
    case NR_KIND_MD5:
    case NR_KIND_SHA1:
    case NR_KIND_SHA256:
        *c = SEG_NAME;
        *out = (struct seg_key){ 0, nr_xxh64(key, kind) };
        return true;
    default:
        return false;
    }
}

/* Where the authority of URL begins and ends (RFC 3986 3.2; a backslash ends it
 * for browsers). */
static void
authority(struct nr_bytes url, size_t *from, size_t *to)
{
    const uint8_t *p = url.n ? memmem(url.p, url.n, "://", 3) : NULL;
    size_t at = p ? (size_t)(p - url.p) + 3 : 0, n;

    for (n = at; n < url.n; n++)
        if (url.p[n] == '/' || url.p[n] == '?' || url.p[n] == '#' ||
            url.p[n] == '\\')
            break;
    *from = at;
    *to = n;
}

struct nr_bytes
seg_url_origin(struct nr_bytes url, uint8_t buf[SEG_ORIGIN_MAX])
{
    size_t from, to, n;
    const uint8_t *user;

    authority(url, &from, &to);
    user = to > from ? memrchr(url.p + from, '@', to - from) : NULL;
    if (!user) /* the usual one: as it stands */
        return nr_bytes_sub(url, 0, nr_min(to, SEG_ORIGIN_MAX));
    n = nr_min(from, SEG_ORIGIN_MAX);
    memcpy(buf, url.p, n);
    from = (size_t)(user - url.p) + 1;
    to = nr_min(to, from + SEG_ORIGIN_MAX - n);
    memcpy(buf + n, url.p + from, to - from);
    return (struct nr_bytes){ buf, n + to - from };
}

uint64_t
seg_get_varint(struct nr_cur *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = nr_cur_u8(c);

        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    if (c->err == NR_OK)
        c->err = NR_EFORMAT;
    return 0;
}

enum nr_err
segment_damaged(const struct segment *s, struct nr_diag *d, uint64_t at,
    const char *what)
{
    enum nr_err err = nr_fail(d, NR_EDAMAGED, (size_t)at, what);

    nr_diag_add_name(d, s->name);
    return err;
}

enum nr_err
segment_need(struct segment *s, uint64_t at, uint64_t n, struct nr_diag *d)
{
    uint64_t page, last;

    if (at < s->index_at || at > s->sums_at || n > s->sums_at - at)
        return segment_damaged(s, d, at,
            "segment: points outside of its index");
    if (n == 0 || s->unchecked)
        return NR_OK;
    last = (at + n - 1 - s->index_at) / SEG_PAGE;
    for (page = (at - s->index_at) / SEG_PAGE; page <= last; page++) {
        uint64_t from = s->index_at + page * SEG_PAGE;
        uint64_t end = from + SEG_PAGE < s->sums_at ? from + SEG_PAGE
                                                    : s->sums_at;

        if (s->page_ok[page])
            continue;
        if (s->view && seal_need(s->view, from, end - from, d))
            return NR_EDAMAGED;
        if (nr_xxh64(nr_bytes_sub(s->map, from, end), 0) !=
            le(s->map.p + s->sums_at + page * 8, 8))
            return segment_damaged(s, d, from,
                "segment: the checksum of an index page does not hold");
        s->page_ok[page] = 1;
    }
    return NR_OK;
}

static enum nr_err
check_header(struct segment *s, struct nr_diag *d)
{
    const uint8_t *p = s->map.p;

    if (s->map.n < SEG_HEADER + SEG_TRAILER)
        return segment_damaged(s, d, 0, "segment: too short to be one");
    if (s->view &&
        (seal_need(s->view, 0, SEG_HEADER, d) ||
            seal_need(s->view, s->map.n - SEG_TRAILER, SEG_TRAILER, d)))
        return NR_EDAMAGED;
    if (!s->view && seal_is(s->map))
        return segment_damaged(s, d, 0,
            "segment: is sealed, and the archive is not");
    if (memcmp(p, SEG_MAGIC, 8) != 0)
        return segment_damaged(s, d, 0, "segment: does not begin as one");
    if (!s->unchecked &&
        nr_xxh64((struct nr_bytes){ p, 24 }, 0) != le(p + 24, 8))
        return segment_damaged(s, d, 0,
            "segment: header checksum does not hold");
    if (le(p + 8, 4) != SEG_ENDIAN || le(p + 12, 4) != SEG_VERSION)
        return nr_fail_name(d, NR_EFORMAT,
            "segment: of another version of noroshi", s->name);
    s->info.seq = le(p + 16, 8);
    return NR_OK;
}

static enum nr_err
check_tail(struct segment *s, struct nr_diag *d)
{
    const uint8_t *t = s->map.p + s->map.n - SEG_TRAILER;
    uint64_t tail = s->map.n - SEG_TRAILER, table, pages;

    if (memcmp(t, SEG_MAGIC_END, 8) != 0 || le(t + 48, 8) != s->map.n)
        return segment_damaged(s, d, tail, "segment: cut short");
    s->index_at = le(t + 16, 8);
    s->sums_at = le(t + 24, 8);
    table = le(t + 32, 8);
    if (s->index_at < SEG_HEADER || s->sums_at < s->index_at ||
        table < s->sums_at || table > tail || le(t + 40, 8) != SEG_SECTIONS ||
        tail - table != SEG_SECTIONS * SEG_ROW)
        return segment_damaged(s, d, tail, "segment: trailer is not sound");
    pages = (s->sums_at - s->index_at + SEG_PAGE - 1) / SEG_PAGE;
    if ((table - s->sums_at) / 8 != pages || (table - s->sums_at) % 8 != 0)
        return segment_damaged(s, d, tail, "segment: trailer is not sound");
    if (s->view && seal_need(s->view, s->sums_at, s->map.n - s->sums_at, d))
        return NR_EDAMAGED;
    if (!s->unchecked &&
        nr_xxh64(nr_bytes_sub(s->map, s->sums_at, s->map.n - 8), 0) !=
            le(t + 56, 8))
        return segment_damaged(s, d, s->sums_at,
            "segment: trailer checksum does not hold");
    s->page_ok = calloc(pages + 1, 1);
    return s->page_ok ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "segment: no memory");
}

size_t
seg_element(unsigned id)
{
    static const size_t size[SEG_SECTIONS] = {
        [SEG_SEC_INFO] = SEG_INFO,
        [SEG_SEC_BLOCKS] = SEG_BLOCK_ROW,
        [SEG_SEC_REPLACES] = SEG_REPLACED,
        [SEG_SEC_DIR4] = SEG_DIR_ROW(4),
        [SEG_SEC_DIR6] = SEG_DIR_ROW(16),
        [SEG_SEC_DIRN] = SEG_DIR_ROW(SEG_NAME_OCTETS),
    };

    return size[id];
}

static enum nr_err
read_table(struct segment *s, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(
        nr_bytes_sub(s->map, s->map.n - SEG_TRAILER - SEG_SECTIONS * SEG_ROW,
            s->map.n - SEG_TRAILER));
    uint64_t at = s->index_at;

    for (unsigned i = 0; i < SEG_SECTIONS; i++) {
        uint64_t id = nr_cur_le64(&c);
        struct section *x = &s->sec[i];
        size_t e = seg_element(i);

        x->at = nr_cur_le64(&c);
        x->octets = nr_cur_le64(&c);
        x->count = nr_cur_le64(&c);
        if (id != i || x->at != at || x->octets > s->sums_at - at ||
            (e && (x->octets % e != 0 || x->octets / e != x->count)))
            return segment_damaged(s, d, at, "segment: sections are not sound");
        at += x->octets;
    }
    if (at != s->sums_at || s->sec[SEG_SEC_INFO].count != 1 ||
        s->sec[SEG_SEC_BLOCKS].count > UINT32_MAX ||
        s->sec[SEG_SEC_REPLACES].count > SEG_REPLACED_MAX)
        return segment_damaged(s, d, at, "segment: sections are not sound");
    return NR_OK;
}

static enum nr_err
read_info(struct segment *s, struct nr_diag *d)
{
    const uint8_t *p = s->map.p + s->sec[SEG_SEC_INFO].at;
    enum nr_err err = segment_need(s, s->sec[SEG_SEC_INFO].at, SEG_INFO, d);

    if (err)
        return err;
    s->info.lines = le(p, 8);
    s->info.text = le(p + 8, 8);
    s->info.observations = le(p + 16, 8);
    s->info.first_s = (int64_t)le(p + 24, 8);
    s->info.last_s = (int64_t)le(p + 32, 8);
    s->info.sources = (uint32_t)le(p + 40, 4);
    s->info.kinds = (uint32_t)le(p + 44, 4);
    s->info.created_s = (int64_t)le(p + 48, 8);
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        s->keys[c] = le(p + 56 + 8 * c, 8);
    s->info.flags = (uint32_t)le(p + 80, 4);
    if (s->info.flags & ~SEG_I_ALL) {
        if (!s->unchecked)
            return segment_damaged(s, d, s->sec[SEG_SEC_INFO].at,
                "segment: marked in a way that is not known");
        s->info.flags &= SEG_I_ALL;
    }
    if (!segment_index_is_sound(s)) {
        if (!s->unchecked)
            return segment_damaged(s, d, s->sec[SEG_SEC_INFO].at,
                "segment: counts of keys are not sound");
        /* its blocks and files are still worth reading */
        memset(s->keys, 0, sizeof(s->keys));
    }
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        s->info.observables += s->keys[c];
    return NR_OK;
}

/* MAPPED: it is to be unmapped. KEY: FILE is sealed. */
static enum nr_err
open_map(struct nr_bytes file, bool mapped, const struct nr_archive_key *key,
    unsigned flags, const char *name, struct segment **out, struct nr_diag *d)
{
    struct segment *s = calloc(1, sizeof(*s));
    enum nr_err err = NR_OK;

    if (!s) {
        if (mapped)
            (void)munmap((void *)(uintptr_t)file.p, file.n);
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory");
    }
    s->map = file;
    if (mapped)
        s->file = file;
    s->unchecked = (flags & SEG_UNCHECKED) != 0;
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    if (key) {
        err = seal_view_open(key, file, name, false, &s->view, d);
        if (!err)
            s->map = seal_plain(s->view);
    }
    if (!err)
        err = check_header(s, d);
    if (!err)
        err = check_tail(s, d);
    if (!err)
        err = read_table(s, d);
    if (!err)
        err = read_info(s, d);
    if (err)
        segment_close(s);
    else
        *out = s;
    return err;
}

enum nr_err
segment_open_mem(struct nr_bytes map, unsigned flags, struct segment **out,
    struct nr_diag *d)
{
    return open_map(map, false, NULL, flags, "memory", out, d);
}

enum nr_err
segment_open(const char *dir, const char *name,
    const struct nr_archive_key *key, struct segment **out, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, dir, name, d);
    struct stat st;
    void *p;
    int fd;

    if (err)
        return err;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "segment: gone", name);
    if (fd < 0 || fstat(fd, &st) != 0) {
        err = nr_fail_file(d, "segment: open", path);
        if (fd >= 0)
            close(fd);
        return err;
    }
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)SEG_HEADER) {
        close(fd);
        return nr_fail_name(d, NR_EDAMAGED, "segment: too short to be one",
            name);
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        err = nr_fail_file(d, "segment: map", path);
    close(fd);
    if (err)
        return err;
    return open_map((struct nr_bytes){ p, (size_t)st.st_size }, true, key, 0,
        name, out, d);
}

void
segment_close(struct segment *s)
{
    if (!s)
        return;
    if (s->file.p)
        (void)munmap((void *)(uintptr_t)s->file.p, s->file.n);
    seal_view_close(s->view);
    free(s->page_ok);
    free(s);
}

const struct seg_info *
segment_info(const struct segment *s)
{
    return &s->info;
}

const char *
segment_name(const struct segment *s)
{
    return s->name;
}

uint64_t
segment_size(const struct segment *s)
{
    return s->file.p ? s->file.n : s->map.n;
}

uint64_t
segment_index_size(const struct segment *s)
{
    return s->map.n - s->index_at;
}

uint32_t
segment_blocks(const struct segment *s)
{
    return (uint32_t)s->sec[SEG_SEC_BLOCKS].count;
}

uint64_t
segment_file_count(const struct segment *s)
{
    return s->sec[SEG_SEC_FILES].count;
}

/* A whole section, checked, as a cursor. */
static enum nr_err
whole(struct segment *s, enum seg_section id, struct nr_cur *c,
    struct nr_diag *d)
{
    const struct section *x = &s->sec[id];
    enum nr_err err = segment_need(s, x->at, x->octets, d);

    if (!err)
        *c = nr_cur(nr_bytes_sub(s->map, x->at, x->at + x->octets));
    return err;
}

bool
seg_get_file(struct nr_cur *c, struct seg_file *f)
{
    struct nr_bytes b;

    f->id = nr_cur_le64(c);
    f->dev = nr_cur_le64(c);
    f->ino = nr_cur_le64(c);
    f->head_n = nr_cur_le32(c);
    b = nr_cur_take(c, sizeof(f->head));
    if (b.n)
        memcpy(f->head, b.p, b.n);
    f->from = nr_cur_le64(c);
    f->to = nr_cur_le64(c);
    b = nr_cur_take(c, sizeof(f->hash));
    if (b.n)
        memcpy(f->hash, b.p, b.n);
    f->lines = nr_cur_le64(c);
    f->open_at = nr_cur_le64(c);
    f->mtime_s = (int64_t)nr_cur_le64(c);
    b = nr_cur_take(c, nr_cur_le16(c));
    f->name = (struct nr_str){ (const char *)b.p, nr_utf8_valid_len(b) };
    return !c->err && f->head_n <= SEG_HEAD && f->from <= f->to &&
        f->open_at <= f->to;
}

enum nr_err
segment_files(struct segment *s, struct nr_arena *a, struct seg_file **out,
    size_t *n, struct nr_diag *d)
{
    const struct section *x = &s->sec[SEG_SEC_FILES];
    struct nr_cur c;
    struct seg_file *v;
    enum nr_err err = whole(s, SEG_SEC_FILES, &c, d);

    if (err)
        return err;
    if (x->count > x->octets)
        return segment_damaged(s, d, x->at,
            "segment: list of files is not sound");
    v = nr_new(a, struct seg_file, x->count + 1);
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory for its files");
    for (uint64_t i = 0; i < x->count && !c.err; i++) {
        if (!seg_get_file(&c, &v[i]))
            c.err = NR_EFORMAT;
    }
    if (c.err || nr_cur_left(&c) > 0)
        return segment_damaged(s, d, x->at,
            "segment: list of files is not sound");
    *out = v;
    *n = x->count;
    return NR_OK;
}

enum nr_err
segment_block(struct segment *s, uint32_t i, struct seg_block *out,
    struct nr_diag *d)
{
    const struct section *x = &s->sec[SEG_SEC_BLOCKS];
    uint64_t at = x->at + (uint64_t)i * SEG_BLOCK_ROW;
    struct seg_block b = { 0 };
    struct nr_cur c;
    uint64_t flags;
    enum nr_err err;

    if (i >= x->count)
        return segment_damaged(s, d, x->at, "segment: points to no block");
    err = segment_need(s, at, SEG_BLOCK_ROW, d);
    if (err)
        return err;
    c = nr_cur(nr_bytes_sub(s->map, at, at + SEG_BLOCK_ROW));
    b.at = nr_cur_le64(&c);
    b.sum = nr_cur_le64(&c);
    b.stored = nr_cur_le32(&c);
    b.text = nr_cur_le32(&c);
    b.meta = nr_cur_le32(&c);
    b.codec = nr_cur_u8(&c);
    b.source = nr_cur_u8(&c);
    flags = nr_cur_le16(&c);
    b.flags = (uint8_t)(flags & 0xff);
    b.first_s = (int64_t)nr_cur_le64(&c);
    b.last_s = (int64_t)nr_cur_le64(&c);
    b.file = nr_cur_le32(&c);
    b.lines = nr_cur_le32(&c);
    b.first_line = nr_cur_le64(&c);
    b.text_at = nr_cur_le64(&c);
    if (b.at < SEG_HEADER || b.at > s->index_at ||
        b.stored > s->index_at - b.at || b.codec > SEG_ZSTD || flags > 0xff ||
        (uint64_t)b.text + b.meta > SEG_BLOCK_MAX ||
        b.file >= s->sec[SEG_SEC_FILES].count)
        return segment_damaged(s, d, at, "segment: block table is not sound");
    *out = b;
    return NR_OK;
}

enum nr_err
segment_presence_begin(struct segment *s, struct nr_cur *c, struct nr_diag *d)
{
    return whole(s, SEG_SEC_PRESENCE, c, d);
}

bool
segment_presence_next(struct nr_cur *c, struct seg_presence *out)
{
    uint32_t n;

    if (c->err || nr_cur_left(c) == 0)
        return false;
    out->source = nr_cur_u8(c);
    out->kind = nr_cur_u8(c);
    out->lines = nr_cur_le64(c);
    out->first_day = nr_cur_le32(c);
    n = nr_cur_le32(c);
    out->days = nr_cur_take(c, n);
    if (!c->err && out->first_day + (int64_t)n * 8 > SEG_DAYS + 8)
        c->err = NR_EFORMAT;
    return c->err == NR_OK;
}

void
seg_text_init(struct seg_text *t)
{
    *t = (struct seg_text){ 0 };
    nr_buf_init(&t->buf, SEG_BLOCK_MAX);
    nr_buf_init(&t->sealed, 2 * SEG_BLOCK_MAX);
}

void
seg_text_fini(struct seg_text *t)
{
    ZSTD_freeDCtx(t->dctx);
    t->dctx = NULL;
    nr_buf_fini(&t->buf);
    nr_buf_fini(&t->sealed);
}

enum nr_err
segment_read(struct segment *s, const struct seg_block *b, struct seg_text *t,
    struct nr_diag *d)
{
    struct nr_bytes stored = nr_bytes_sub(s->map, b->at, b->at + b->stored);
    size_t want = (size_t)b->text + b->meta;
    struct nr_bytes all;

    if (s->view) { /* decrypted here and not kept: there are many blocks */
        uint8_t *to;

        nr_buf_reset(&t->sealed);
        to = nr_buf_extend(&t->sealed, b->stored + (size_t)1);
        if (!to)
            return nr_fail(d, NR_ENOMEM, 0, "segment: no memory for a block");
        if (seal_read(s->view, b->at, b->stored, to, d))
            return NR_EDAMAGED;
        stored = (struct nr_bytes){ to, b->stored };
    }
    all = stored;
    if (!s->unchecked && nr_xxh64(stored, 0) != b->sum)
        return segment_damaged(s, d, b->at,
            "segment: the checksum of a block does not hold");
    if (b->codec == SEG_ZSTD) {
        uint8_t *to;

        if (!t->dctx)
            t->dctx = ZSTD_createDCtx();
        nr_buf_reset(&t->buf);
        to = nr_buf_extend(&t->buf, want + 1);
        if (!to || !t->dctx)
            return nr_fail(d, NR_ENOMEM, 0, "segment: no memory for a block");
        if (ZSTD_decompressDCtx(t->dctx, to, want, stored.p, stored.n) != want)
            return segment_damaged(s, d, b->at,
                "segment: a block does not unpack");
        all = (struct nr_bytes){ to, want };
    }
    if (all.n != want)
        return segment_damaged(s, d, b->at,
            "segment: a block has another size");
    t->text = nr_bytes_sub(all, 0, b->text);
    t->meta = nr_bytes_sub(all, b->text, want);
    return NR_OK;
}

struct seg_line
seg_meta_next(struct nr_cur *meta, int64_t *prev)
{
    uint64_t v = seg_get_varint(meta);
    struct seg_line l = { NR_TIME_NONE, (v & 1) != 0 };

    if (v & 4)
        return l;
    *prev = (int64_t)((uint64_t)*prev + (uint64_t)seg_unzigzag(v >> 3));
    l.time_s = *prev;
    return l;
}

static enum nr_err
verify_keys(struct segment *s, enum seg_class c, struct nr_arena *a,
    struct nr_diag *d)
{
    struct seg_key key, last = { 0 };
    struct seg_posting post;

    for (uint64_t i = 0; i < segment_keys(s, c); i++) {
        enum nr_err err = segment_key(s, c, i, &key, d);

        if (!err && seg_key_cmp(key, last) < 0)
            err = segment_damaged(s, d, s->index_at,
                "segment: keys are not in order");
        last = key;
        if (a->used > VERIFY_MEMORY)
            nr_arena_reset(a);
        if (!err)
            err = segment_posting(s, c, i, a, &post, d);
        if (err)
            return err;
    }
    return NR_OK;
}

enum nr_err
segment_verify(struct segment *s, struct nr_diag *d)
{
    struct seg_text t;
    struct nr_arena a;
    struct seg_file *files;
    struct nr_cur c;
    struct seg_presence p;
    struct seg_stream x;
    uint64_t at = SEG_HEADER;
    size_t n;
    enum nr_err err = segment_need(s, s->index_at, s->sums_at - s->index_at, d);

    nr_arena_init(&a, s->map.n * 4 + ((size_t)1 << 20));
    seg_text_init(&t);
    if (!err)
        err = segment_files(s, &a, &files, &n, d);
    if (!err)
        err = segment_presence_begin(s, &c, d);
    if (!err) {
        while (segment_presence_next(&c, &p))
            continue;
        if (c.err)
            err = segment_damaged(s, d, 0, "segment: days are not sound");
    }
    if (!err)
        err = segment_rhythm_begin(s, &c, d);
    if (!err) {
        while (segment_rhythm_next(&c, &x))
            continue;
        if (c.err)
            err = segment_damaged(s, d, 0, "segment: streams are not sound");
    }
    if (!err)
        err = segment_verify_replaced(s, d);
    for (uint32_t i = 0; !err && i < segment_blocks(s); i++) {
        struct seg_block b;

        err = segment_block(s, i, &b, d);
        if (!err && b.at != at)
            err = segment_damaged(s, d, b.at,
                "segment: blocks are not in order");
        if (!err)
            err = segment_read(s, &b, &t, d);
        at = err ? at : b.at + b.stored;
    }
    if (!err && at != s->index_at)
        err = segment_damaged(s, d, at,
            "segment: octets that belong to no block");
    for (unsigned k = 0; !err && k < SEG_CLASSES; k++)
        err = verify_keys(s, k, &a, d);
    seg_text_fini(&t);
    nr_arena_fini(&a);
    return err;
}
