#include "archive/seal_in.h"
#include "archive/segment.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL      1
#define OUT_MAX    ((size_t)1 << 20)        /* octets kept before write(2) */
#define INDEX_MAX  ((size_t)UINT32_MAX)     /* PTR offsets have 4 octets */
#define BLOCKS_MAX ((size_t)UINT32_MAX / 2) /* blocks of a segment */
#define TABLE_MAX  (BLOCKS_MAX * SEG_BLOCK_ROW) /* octets of their table */

struct seg_writer {
    char dir[NR_PATH_MAX], tmp[NR_PATH_MAX];
    int fd;
    struct seal_writer *to; /* of FD */
    uint64_t seq, at;       /* octets written or in OUT */
    uint32_t blocks;
    struct nr_buf out, plain, packed, table, index;
    size_t start[SEG_SECTIONS + 1]; /* in INDEX */
    uint64_t count[SEG_SECTIONS];
    int section; /* the last one begun; -1: none */
    ZSTD_CCtx *zstd;
};

void
seg_put_varint(struct nr_buf *b, uint64_t v)
{
    uint8_t out[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    nr_buf_put(b, (struct nr_bytes){ out, n });
}

void
seg_put_file(struct nr_buf *b, const struct seg_file *f)
{
    size_t name = nr_min(f->name.n, UINT16_MAX);

    nr_buf_put_le(b, f->id, 8);
    nr_buf_put_le(b, f->dev, 8);
    nr_buf_put_le(b, f->ino, 8);
    nr_buf_put_le(b, f->head_n, 4);
    nr_buf_put(b, (struct nr_bytes){ f->head, sizeof(f->head) });
    nr_buf_put_le(b, f->from, 8);
    nr_buf_put_le(b, f->to, 8);
    nr_buf_put(b, (struct nr_bytes){ f->hash, sizeof(f->hash) });
    nr_buf_put_le(b, f->lines, 8);
    nr_buf_put_le(b, f->open_at, 8);
    nr_buf_put_le(b, (uint64_t)f->mtime_s, 8);
    nr_buf_put_le(b, name, 2);
    nr_buf_put(b, (struct nr_bytes){ (const uint8_t *)f->name.p, name });
}

void
seg_put_info(struct nr_buf *b, const struct seg_info *i,
    const uint64_t keys[SEG_CLASSES])
{
    nr_buf_put_le(b, i->lines, 8);
    nr_buf_put_le(b, i->text, 8);
    nr_buf_put_le(b, i->observations, 8);
    nr_buf_put_le(b, (uint64_t)i->first_s, 8);
    nr_buf_put_le(b, (uint64_t)i->last_s, 8);
    nr_buf_put_le(b, i->sources, 4);
    nr_buf_put_le(b, i->kinds, 4);
    nr_buf_put_le(b, (uint64_t)i->created_s, 8);
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        nr_buf_put_le(b, keys[c], 8);
    nr_buf_put_le(b, i->flags, 4);
    nr_buf_put_le(b, 0, 4);
}

static enum nr_err
flush(struct seg_writer *w, struct nr_diag *d)
{
    enum nr_err err = seal_writer_put(w->to, nr_buf_bytes(&w->out), d);

    nr_diag_add_name(d, err ? w->tmp : NULL);
    nr_buf_reset(&w->out);
    return err;
}

static void
put_header(struct seg_writer *w)
{
    nr_buf_put(&w->out, NR_BYTES(SEG_MAGIC));
    nr_buf_put_le(&w->out, SEG_ENDIAN, 4);
    nr_buf_put_le(&w->out, SEG_VERSION, 4);
    nr_buf_put_le(&w->out, w->seq, 8);
    nr_buf_put_le(&w->out, nr_xxh64(nr_buf_bytes(&w->out), 0), 8);
    w->at = SEG_HEADER;
}

static enum nr_err
create_file(struct seg_writer *w, const char *dir, struct nr_diag *d)
{
    int n = snprintf(w->tmp, sizeof(w->tmp), "%s/%016llx.tmp.XXXXXX", dir,
        (unsigned long long)w->seq);

    if (n < 0 || (size_t)n >= sizeof(w->tmp))
        return nr_fail_name(d, NR_ELIMIT, "path: too long", dir);
    (void)snprintf(w->dir, sizeof(w->dir), "%s", dir);
    w->fd = mkostemp(w->tmp, O_CLOEXEC);
    if (w->fd < 0) {
        enum nr_err err = nr_fail_file(d, "segment: create", w->tmp);

        w->tmp[0] = '\0';
        return err;
    }
    return NR_OK;
}

enum nr_err
seg_writer_open(const char *dir, uint64_t seq, const struct nr_archive_key *key,
    struct seg_writer **out, struct nr_diag *d)
{
    struct seg_writer *w = calloc(1, sizeof(*w));
    enum nr_err err;

    if (!w)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory to write one");
    w->fd = -1;
    w->seq = seq;
    w->section = -1;
    nr_buf_init(&w->out, OUT_MAX + 2 * SEG_BLOCK_MAX);
    nr_buf_init(&w->plain, SEG_BLOCK_MAX);
    nr_buf_init(&w->packed, 2 * SEG_BLOCK_MAX);
    nr_buf_init(&w->table, TABLE_MAX);
    nr_buf_init(&w->index, INDEX_MAX);
    w->zstd = ZSTD_createCCtx();
    err = w->zstd ? create_file(w, dir, d)
                  : nr_fail(d, NR_ENOMEM, 0, "segment: no memory for zstd");
    if (!err)
        err = seal_writer_open(key, w->fd, &w->to, d);
    if (err) {
        seg_writer_close(w);
        return err;
    }
    put_header(w);
    *out = w;
    return NR_OK;
}

void
seg_writer_close(struct seg_writer *w)
{
    if (!w)
        return;
    seal_writer_close(w->to);
    if (w->fd >= 0)
        close(w->fd);
    if (w->tmp[0])
        (void)unlink(w->tmp);
    ZSTD_freeCCtx(w->zstd);
    nr_buf_fini(&w->out);
    nr_buf_fini(&w->plain);
    nr_buf_fini(&w->packed);
    nr_buf_fini(&w->table);
    nr_buf_fini(&w->index);
    free(w);
}

/* PLAIN, packed if that is shorter. */
static struct nr_bytes
pack(struct seg_writer *w, struct seg_block *b)
{
    size_t bound = ZSTD_compressBound(w->plain.n), n;
    uint8_t *to;

    nr_buf_reset(&w->packed);
    b->codec = SEG_PLAIN;
    to = nr_buf_extend(&w->packed, bound);
    if (!to)
        return nr_buf_bytes(&w->plain);
    n = ZSTD_compressCCtx(w->zstd, to, bound, w->plain.p, w->plain.n, LEVEL);
    if (ZSTD_isError(n) || n >= w->plain.n)
        return nr_buf_bytes(&w->plain);
    b->codec = SEG_ZSTD;
    return (struct nr_bytes){ to, n };
}

enum nr_err
seg_writer_block(struct seg_writer *w, struct nr_bytes text,
    struct nr_bytes meta, struct seg_block *b, struct nr_diag *d)
{
    struct nr_bytes stored;

    if (w->blocks >= BLOCKS_MAX || text.n + meta.n > SEG_BLOCK_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "segment: block too large");
    nr_buf_reset(&w->plain);
    nr_buf_put(&w->plain, text);
    nr_buf_put(&w->plain, meta);
    if (w->plain.err)
        return nr_fail(d, w->plain.err, 0, "segment: no memory for a block");
    stored = pack(w, b);
    b->at = w->at;
    b->sum = nr_xxh64(stored, 0);
    b->stored = (uint32_t)stored.n;
    b->text = (uint32_t)text.n;
    b->meta = (uint32_t)meta.n;
    nr_buf_put_le(&w->table, b->at, 8);
    nr_buf_put_le(&w->table, b->sum, 8);
    nr_buf_put_le(&w->table, b->stored, 4);
    nr_buf_put_le(&w->table, b->text, 4);
    nr_buf_put_le(&w->table, b->meta, 4);
    nr_buf_put_le(&w->table, b->codec, 1);
    nr_buf_put_le(&w->table, b->source, 1);
    nr_buf_put_le(&w->table, b->flags, 2);
    nr_buf_put_le(&w->table, (uint64_t)b->first_s, 8);
    nr_buf_put_le(&w->table, (uint64_t)b->last_s, 8);
    nr_buf_put_le(&w->table, b->file, 4);
    nr_buf_put_le(&w->table, b->lines, 4);
    nr_buf_put_le(&w->table, b->first_line, 8);
    nr_buf_put_le(&w->table, b->text_at, 8);
    nr_buf_put(&w->out, stored);
    if (w->table.err || w->out.err)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory for a block");
    w->at += stored.n;
    w->blocks++;
    return w->out.n >= OUT_MAX ? flush(w, d) : NR_OK;
}

uint32_t
seg_writer_blocks(const struct seg_writer *w)
{
    return w->blocks;
}

struct nr_buf *
seg_writer_section(struct seg_writer *w, enum seg_section id, uint64_t count)
{
    for (int i = w->section + 1; i <= (int)id; i++)
        w->start[i] = w->index.n;
    w->section = (int)id;
    w->count[id] = count;
    if (id == SEG_SEC_BLOCKS) {
        w->count[id] = w->blocks;
        nr_buf_put(&w->index, nr_buf_bytes(&w->table));
    }
    return &w->index;
}

/* Sums of pages, table of sections, trailer: appended to OUT. */
static void
put_tail(struct seg_writer *w)
{
    uint64_t index_at = w->at, sums_at = index_at + w->index.n;
    size_t tail_at;
    uint64_t table_at, size;
    size_t n = w->index.n, pages = n / SEG_PAGE + (n % SEG_PAGE != 0);

    nr_buf_reset(&w->plain);
    w->plain.max = INDEX_MAX;
    tail_at = w->plain.n;
    for (size_t at = 0; at < n; at += SEG_PAGE) {
        size_t end = nr_min(n, at + SEG_PAGE);
        struct nr_bytes page = nr_bytes_sub(nr_buf_bytes(&w->index), at, end);

        nr_buf_put_le(&w->plain, nr_xxh64(page, 0), 8);
    }
    table_at = sums_at + pages * 8;
    for (size_t i = 0; i < SEG_SECTIONS; i++) {
        nr_buf_put_le(&w->plain, i, 8);
        nr_buf_put_le(&w->plain, index_at + w->start[i], 8);
        nr_buf_put_le(&w->plain, w->start[i + 1] - w->start[i], 8);
        nr_buf_put_le(&w->plain, w->count[i], 8);
    }
    size = table_at + SEG_SECTIONS * SEG_ROW + SEG_TRAILER;
    nr_buf_put(&w->plain, NR_BYTES(SEG_MAGIC_END));
    nr_buf_put_le(&w->plain, SEG_ENDIAN, 4);
    nr_buf_put_le(&w->plain, SEG_VERSION, 4);
    nr_buf_put_le(&w->plain, index_at, 8);
    nr_buf_put_le(&w->plain, sums_at, 8);
    nr_buf_put_le(&w->plain, table_at, 8);
    nr_buf_put_le(&w->plain, SEG_SECTIONS, 8);
    nr_buf_put_le(&w->plain, size, 8);
    nr_buf_put_le(&w->plain,
        nr_xxh64(nr_bytes_sub(nr_buf_bytes(&w->plain), tail_at, w->plain.n), 0),
        8);
}

enum nr_err
seg_writer_publish(struct seg_writer *w, uint64_t *size, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err;
    char name[32];

    if (w->section < (int)SEG_SECTIONS - 1) /* the rest is empty */
        (void)seg_writer_section(w, (enum seg_section)(SEG_SECTIONS - 1), 0);
    for (int i = w->section + 1; i <= SEG_SECTIONS; i++)
        w->start[i] = w->index.n; /* those that nobody began are empty */
    put_tail(w);
    if (w->index.err || w->plain.err)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory for its index");
    (void)snprintf(name, sizeof(name), "%016llx.seg",
        (unsigned long long)w->seq);
    err = nr_path_join(path, w->dir, name, d);
    if (!err)
        err = flush(w, d);
    if (!err)
        err = seal_writer_put(w->to, nr_buf_bytes(&w->index), d);
    if (!err)
        err = seal_writer_put(w->to, nr_buf_bytes(&w->plain), d);
    if (!err)
        err = seal_writer_end(w->to, d);
    if (!err)
        err = nr_file_publish(w->fd, w->tmp, path, d);
    nr_diag_add_name(d, err ? w->tmp : NULL);
    if (err)
        return err;
    w->tmp[0] = '\0';
    *size = w->at + w->index.n + w->plain.n;
    return NR_OK;
}
