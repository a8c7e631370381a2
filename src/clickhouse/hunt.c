/* Hunts and figures: one query each. */
#include "clickhouse/client.h"

#include "archive/coverage.h"
#include "base/cur.h"
#include "logline/logline.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

#define NO_TIME "-9223372036854775808"

/* The batch, as two tables sent along: q for what is looked up as it is, r for
 * ranges, which are looked up by their leading bits and then compared. */
struct batch {
    struct nr_buf q, r, masks;
    bool bits[65];
};

static void
put_exact(struct batch *b, uint32_t id, unsigned kind, struct nr_bytes key)
{
    uint64_t fp;

    if (!row_of(kind, key, &fp))
        return;
    nr_buf_put_le(&b->q, kind, 1);
    nr_buf_put_le(&b->q, fp, 8);
    put_string(&b->q, key);
    nr_buf_put_le(&b->q, id, 4);
}

static uint64_t
mask_of(unsigned bits)
{
    return bits == 0 ? 0 : UINT64_MAX << (64 - bits);
}

static void
put_range(struct batch *b, uint32_t id, unsigned kind, struct nr_bytes key)
{
    bool v4 = kind == NR_KIND_CIDR4;
    size_t width = v4 ? 4 : 16;
    uint8_t hi[16];
    unsigned prefix, bits;
    uint64_t fp;

    if (key.n != width + 1 || key.p[width] > width * 8 ||
        !row_of(kind, key, &fp))
        return;
    prefix = key.p[width];
    bits = prefix > 64 ? 64 : prefix;
    memcpy(hi, key.p, width);
    for (size_t i = prefix; i < width * 8; i++)
        hi[i / 8] |= (uint8_t)(0x80u >> (i % 8));
    b->bits[bits] = true;
    nr_buf_put_le(&b->r, v4 ? NR_KIND_IPV4 : NR_KIND_IPV6, 1);
    nr_buf_put_le(&b->r, mask_of(bits), 8);
    nr_buf_put_le(&b->r, fp & mask_of(bits), 8);
    put_string(&b->r, nr_bytes_sub(key, 0, width));
    put_string(&b->r, (struct nr_bytes){ hi, width });
    nr_buf_put_le(&b->r, id, 4);
}

static void
put_url(struct batch *b, uint32_t id, struct nr_bytes key)
{
    static const char *const schemes[] = { "http:", "https:" };

    for (size_t i = 0; i < 2; i++) {
        struct nr_buf full;

        nr_buf_init(&full, SIZE_MAX / 2);
        nr_buf_put_str(&full, nr_str_of(schemes[i]));
        nr_buf_put(&full, key);
        b->q.err = full.err ? full.err : b->q.err;
        put_exact(b, id, NR_KIND_URL, nr_buf_bytes(&full));
        nr_buf_fini(&full);
    }
}

static enum nr_err
make_batch(struct batch *b, const struct nr_indicator *const *v, size_t n,
    struct nr_diag *d)
{
    const char *comma = "";

    for (size_t i = 0; i < n; i++) {
        unsigned kind = v[i]->kind;

        if (kind == NR_KIND_CIDR4 || kind == NR_KIND_CIDR6)
            put_range(b, (uint32_t)i, kind, v[i]->key);
        else if (kind == NR_KIND_URL &&
            nr_bytes_starts(v[i]->key, NR_BYTES("//")))
            put_url(b, (uint32_t)i, v[i]->key);
        else
            put_exact(b, (uint32_t)i, kind, v[i]->key);
    }
    for (unsigned i = 0; i <= 64; i++)
        if (b->bits[i] || (i == 64 && *comma == '\0')) {
            nr_buf_printf(&b->masks, "%stoUInt64(%llu)", comma,
                (unsigned long long)mask_of(i));
            comma = ",";
        }
    if (b->q.err || b->r.err || b->masks.err || n > UINT32_MAX)
        return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for the indicators");
    return NR_OK;
}

#define COLUMNS "id, file, line, time, d, source, denied"

/* One semi-join: the batch against what was seen. */
static enum nr_err
ask(struct nr_clickhouse *c, struct batch *b, const char *head,
    const char *tail, struct nr_diag *d)
{
    struct external v[2] = {
        { "q", "kind UInt8, fp UInt64, key String, id UInt32",
            nr_buf_bytes(&b->q) },
        { "r",
            "kind UInt8, mask UInt64, low UInt64, lo String, hi String, "
            "id UInt32",
            nr_buf_bytes(&b->r) },
    };
    struct nr_buf sql;
    enum nr_err err;

    nr_buf_init(&sql, (size_t)1 << 20);
    nr_buf_printf(&sql,
        "%s (SELECT " COLUMNS " FROM (SELECT kind, fp, key, file, line, time, "
        "d, source, denied FROM noroshi_seen WHERE (kind, fp) GLOBAL IN "
        "(SELECT kind, fp FROM q)) GLOBAL ALL INNER JOIN (SELECT kind, fp, "
        "key, id FROM q) USING (kind, fp, key)",
        head);
    if (b->r.n > 0)
        nr_buf_printf(&sql,
            " UNION ALL SELECT " COLUMNS " FROM (SELECT kind, mask, low, key, "
            "file, line, time, d, source, denied, id, lo, hi FROM (SELECT "
            "kind, arrayJoin([%s]) AS mask, bitAnd(fp, mask) AS low, key, "
            "file, line, time, d, source, denied FROM noroshi_seen WHERE "
            "kind IN (%u, %u)) GLOBAL ALL INNER JOIN (SELECT kind, mask, low, "
            "lo, hi, id FROM r) USING (kind, mask, low)) WHERE key >= lo AND "
            "key <= hi",
            nr_buf_cstr(&b->masks), (unsigned)NR_KIND_IPV4,
            (unsigned)NR_KIND_IPV6);
    nr_buf_printf(&sql, ") %s FORMAT RowBinary", tail);
    if (nr_buf_cstr(&sql))
        err = client_query(c, nr_buf_cstr(&sql), v, b->r.n ? 2 : 1, d);
    else
        err = nr_fail(d, NR_ENOMEM, 0, "hunt: no memory");
    nr_buf_fini(&sql);
    return err;
}

static enum nr_err
sums(struct nr_clickhouse *c, struct batch *b, struct nr_answer *v, size_t n,
    struct nr_diag *d)
{
    struct nr_cur cur;
    enum nr_err err = ask(c, b,
        "SELECT id, uniqExact(file, line), uniqExactIf((file, line), denied), "
        "countIf(time != " NO_TIME "), minIf(time, time != " NO_TIME "), "
        "maxIf(time, time != " NO_TIME "), uniqExactIf(d, time != " NO_TIME
        "), groupBitOr(bitShiftLeft(toUInt32(1), source)) FROM",
        "GROUP BY id", d);

    if (err)
        return err;
    for (cur = nr_cur(nr_buf_bytes(&c->reply)); nr_cur_left(&cur) > 0;) {
        uint32_t id = nr_cur_le32(&cur);
        struct nr_answer x = { 0 };
        bool timed;

        x.lines = nr_cur_le64(&cur);
        x.denied = nr_cur_le64(&cur);
        timed = nr_cur_le64(&cur) > 0;
        x.first_s = (int64_t)nr_cur_le64(&cur);
        x.last_s = (int64_t)nr_cur_le64(&cur);
        x.days = nr_cur_le64(&cur);
        x.sources = nr_cur_le32(&cur);
        if (!timed)
            x.first_s = x.last_s = NR_TIME_NONE;
        if (cur.err || id >= n)
            return nr_fail(d, NR_EFORMAT, 0,
                "clickhouse: an answer of another form");
        v[id] = x;
    }
    return NR_OK;
}

static enum nr_err
lines(struct nr_clickhouse *c, struct batch *b, const struct nr_hunt_options *o,
    size_t n, struct nr_diag *d)
{
    uint64_t *count = calloc(n + 1, sizeof(*count));
    struct nr_cur cur;
    enum nr_err err;

    if (!count)
        return nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory for lines");
    err = ask(c, b,
        "SELECT id, file, name, line, at, time, denied, source, block, text "
        "FROM "
        "(SELECT file, line, name, at, time, denied, source, block, text FROM "
        "noroshi_lines) GLOBAL ALL INNER JOIN (SELECT DISTINCT id, file, line "
        "FROM",
        o->newest ? ") USING (file, line) ORDER BY time DESC, name DESC, at "
                    "DESC, id DESC, length(text) DESC LIMIT 1 BY file, line, id"
                  : ") USING (file, line) ORDER BY time, name, at, id, "
                    "length(text) DESC LIMIT 1 BY file, line, id",
        d);
    if (err) {
        free(count);
        return err;
    }
    for (cur = nr_cur(nr_buf_bytes(&c->reply));
         !err && nr_cur_left(&cur) > 0;) {
        struct nr_archive_line l = { .indicator = nr_cur_le32(&cur) };
        struct nr_bytes name;
        char file[4096];

        (void)nr_cur_le64(&cur); /* the file by number: for LIMIT BY */
        name = get_string(&cur);

        if (name.n >= sizeof(file))
            name.n = sizeof(file) - 1;
        if (name.n > 0)
            memcpy(file, name.p, name.n);
        file[name.n] = '\0';
        l.file = file;
        l.line = nr_cur_le64(&cur);
        l.at = nr_cur_le64(&cur);
        l.time_s = (int64_t)nr_cur_le64(&cur);
        l.denied = nr_cur_u8(&cur) != 0;
        l.source = nr_cur_u8(&cur);
        l.block = nr_cur_le64(&cur);
        l.text = get_string(&cur);
        if (cur.err || l.indicator >= n)
            err = nr_fail(d, NR_EFORMAT, 0,
                "clickhouse: an answer of another form");
        else if (o->limit == 0 || count[l.indicator]++ < o->limit)
            err = o->line(o->line_ctx, &l);
    }
    free(count);
    return err;
}

enum nr_err
nr_clickhouse_presence(struct nr_clickhouse *c, struct nr_archive **out,
    struct nr_diag *d)
{
    struct nr_archive *a = nr_archive_blank();
    struct nr_cur cur;
    enum nr_err err = client_query(c,
        "SELECT DISTINCT file, upto, streams FROM noroshi_files FORMAT "
        "RowBinary",
        NULL, 0, d);

    if (!a)
        err = nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory for streams");
    for (cur = nr_cur(nr_buf_bytes(&c->reply));
         !err && nr_cur_left(&cur) > 0;) {
        struct nr_bytes rows;

        (void)nr_cur_take(&cur, 16);
        rows = get_string(&cur);
        err = cur.err ? cur.err : nr_archive_mark_rows(a, rows);
        if (err)
            (void)nr_fail(d, err, 0,
                err == NR_ENOMEM ? "clickhouse: no memory for streams"
                                 : "clickhouse: an answer of another form");
    }
    if (err)
        nr_archive_close(a);
    else
        *out = a;
    return err;
}

enum nr_err
nr_clickhouse_hunt(struct nr_clickhouse *c,
    const struct nr_indicator *const *indicators, size_t n,
    const struct nr_hunt_options *o, struct nr_arena *arena,
    struct nr_answer *v, struct nr_diag *d)
{
    struct nr_archive *days = NULL;
    struct batch b = { 0 };
    enum nr_err err;

    nr_buf_init(&b.q, SIZE_MAX / 2);
    nr_buf_init(&b.r, SIZE_MAX / 2);
    nr_buf_init(&b.masks, 4096);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct nr_answer){ .first_s = NR_TIME_NONE,
            .last_s = NR_TIME_NONE };
    err = make_batch(&b, indicators, n, d);
    if (!err)
        err = sums(c, &b, v, n, d);
    if (!err)
        err = nr_clickhouse_presence(c, &days, d);
    if (!err)
        err = nr_archive_judge(days, indicators, n, o->now_s, arena, v, d);
    if (!err && o->line)
        err = lines(c, &b, o, n, d);
    nr_archive_close(days);
    nr_buf_fini(&b.q);
    nr_buf_fini(&b.r);
    nr_buf_fini(&b.masks);
    return err;
}

enum nr_err
nr_clickhouse_stat(struct nr_clickhouse *c, struct nr_archive_stat *out,
    struct nr_archive_presence *days, struct nr_diag *d)
{
    struct nr_archive *a = NULL;
    struct nr_cur cur;
    uint64_t timed;
    enum nr_err err = client_query(c,
        "SELECT uniqExact(file), uniqExact(file, line), countIf(time "
        "!= " NO_TIME "), minIf(time, time != " NO_TIME
        "), maxIf(time, time != " NO_TIME
        "), sum(length(text) + 1) FROM noroshi_lines FORMAT RowBinary",
        NULL, 0, d);

    *out = (struct nr_archive_stat){ .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE };
    if (err)
        return err;
    cur = nr_cur(nr_buf_bytes(&c->reply));
    out->files = nr_cur_le64(&cur);
    out->lines = nr_cur_le64(&cur);
    timed = nr_cur_le64(&cur);
    if (timed) {
        out->first_s = (int64_t)nr_cur_le64(&cur);
        out->last_s = (int64_t)nr_cur_le64(&cur);
    } else {
        (void)nr_cur_take(&cur, 16);
    }
    out->text = nr_cur_le64(&cur);
    if (cur.err)
        return nr_fail(d, NR_EFORMAT, 0,
            "clickhouse: an answer of another form");
    err = nr_clickhouse_presence(c, &a, d);
    for (unsigned k = 0; !err && k < NR_LOG_KINDS; k++)
        days[k] = nr_archive_present(a, 1u << k);
    nr_archive_close(a);
    return err;
}
