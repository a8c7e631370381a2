/* The state of a standing hunt and its file. */
#include "archive/standing_in.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD     ((size_t)12) /* of a record */
#define SEED     UINT64_C(0x7374616e64)
#define MEMORY   ((size_t)8 << 30) /* keys of all values */
#define SEGMENT  ((size_t)24)
#define BODY_MAX ((size_t)1 << 30)

/* --- bodies --- */

void
standing_put_values(struct nr_buf *b, const struct standing_value *v)
{
    nr_buf_put_le(b, v->key.n, 4);
    nr_buf_put(b, v->key);
}

void
standing_put_segment(struct nr_buf *b, uint64_t seq, uint64_t sum,
    uint64_t lines)
{
    nr_buf_put_le(b, seq, 8);
    nr_buf_put_le(b, sum, 8);
    nr_buf_put_le(b, lines, 8);
}

/* segment:4 (of those that the record names) value:4 lines:8 denied:8 first:8
 * last:8 sources:4 days:4, then the days:4 */
void
standing_put_row(struct nr_buf *b, const struct standing_row *r,
    const int32_t *days)
{
    nr_buf_put_le(b, r->segment, 4);
    nr_buf_put_le(b, r->value, 4);
    nr_buf_put_le(b, r->lines, 8);
    nr_buf_put_le(b, r->denied, 8);
    nr_buf_put_le(b, (uint64_t)r->first_s, 8);
    nr_buf_put_le(b, (uint64_t)r->last_s, 8);
    nr_buf_put_le(b, r->sources, 4);
    nr_buf_put_le(b, r->n_days, 4);
    for (uint32_t i = 0; i < r->n_days; i++)
        nr_buf_put_le(b, (uint32_t)days[i], 4);
}

/* --- taking them --- */

uint32_t
standing_find(const struct nr_standing *s, uint64_t seq)
{
    size_t n;
    const struct standing_segment *v = standing_segments(s, &n);
    const uint64_t *at = nr_table_get(&s->by_seq,
        (struct nr_bytes){ (const uint8_t *)&seq, sizeof(seq) });

    return at && !v[*at].gone ? (uint32_t)*at : UINT32_MAX;
}

static bool
take_values(struct nr_standing *s, struct nr_cur *c)
{
    while (nr_cur_left(c) > 0 && !c->err) {
        struct nr_bytes key = nr_cur_take(c, nr_cur_le32(c));
        struct standing_value v = { 0 };
        uint64_t number = s->values.n / sizeof(v), *at;
        bool added;
        uint8_t *copy;

        if (c->err || key.n < 2 || number >= NR_STANDING_VALUES_MAX)
            return false;
        copy = nr_new(&s->arena, uint8_t, key.n);
        if (!copy) {
            c->err = NR_ENOMEM;
            return false;
        }
        memcpy(copy, key.p, key.n);
        v.key = (struct nr_bytes){ copy, key.n };
        at = nr_table_put(&s->table, v.key, number, &added);
        if (!at) {
            c->err = NR_ENOMEM;
            return false;
        }
        if (!added && *at != STANDING_GONE)
            return false;
        *at = number;
        nr_buf_put(&s->values,
            (struct nr_bytes){ (const uint8_t *)&v, sizeof(v) });
    }
    return !c->err;
}

static bool
take_dead(struct nr_standing *s, struct nr_cur *c)
{
    size_t n;
    struct standing_value *v = standing_values(s, &n);

    while (nr_cur_left(c) > 0 && !c->err) {
        uint32_t i = nr_cur_le32(c);
        uint64_t *at;

        if (c->err || i >= n || v[i].dead)
            return false;
        v[i].dead = true;
        s->n_dead++;
        at = nr_table_get(&s->table, v[i].key);
        if (at)
            *at = STANDING_GONE;
    }
    return !c->err;
}

/* The segment that a record names, of which all below FROM is known; from 0 on
 * it is a new one. NONE: it is not known as it should be. */
static uint32_t
open_segment(struct nr_standing *s, uint64_t seq, uint64_t sum, uint64_t lines,
    uint32_t from)
{
    struct standing_segment x = { .seq = seq, .sum = sum, .lines = lines };
    uint32_t at = standing_find(s, seq);
    uint64_t *key, *slot;
    size_t n;
    struct standing_segment *v = standing_segments(s, &n);

    if (from > 0)
        return at != UINT32_MAX && v[at].sum == sum && v[at].upto == from
            ? at
            : UINT32_MAX;
    if (at != UINT32_MAX)
        v[at].gone = true; /* mended, or it was away for a while */
    nr_buf_put(&s->segments,
        (struct nr_bytes){ (const uint8_t *)&x, sizeof(x) });
    key = nr_new(&s->arena, uint64_t, 1);
    if (key)
        *key = seq;
    slot = key
        ? nr_table_put(&s->by_seq,
              (struct nr_bytes){ (const uint8_t *)key, sizeof(*key) }, n, NULL)
        : NULL;
    if (!slot || s->segments.err) {
        s->segments.err = NR_ENOMEM;
        return UINT32_MAX;
    }
    *slot = n;
    return (uint32_t)n;
}

static bool
take_rows(struct nr_standing *s, struct nr_cur *c, const uint32_t *of,
    uint32_t n_of)
{
    size_t values = s->values.n / sizeof(struct standing_value);

    while (nr_cur_left(c) > 0 && !c->err) {
        struct standing_row r = { .days = s->days.n / sizeof(int32_t) };

        r.segment = nr_cur_le32(c);
        r.value = nr_cur_le32(c);
        r.lines = nr_cur_le64(c);
        r.denied = nr_cur_le64(c);
        r.first_s = (int64_t)nr_cur_le64(c);
        r.last_s = (int64_t)nr_cur_le64(c);
        r.sources = nr_cur_le32(c);
        r.n_days = nr_cur_le32(c);
        if (c->err || r.segment >= n_of || r.value >= values ||
            r.n_days > nr_cur_left(c) / 4)
            return false;
        r.segment = of[r.segment];
        for (uint32_t i = 0; i < r.n_days; i++) {
            int32_t day = (int32_t)nr_cur_le32(c);

            nr_buf_put(&s->days,
                (struct nr_bytes){ (const uint8_t *)&day, sizeof(day) });
        }
        nr_buf_put(&s->rows,
            (struct nr_bytes){ (const uint8_t *)&r, sizeof(r) });
    }
    return !c->err;
}

static bool
take_asked(struct nr_standing *s, struct nr_cur *c)
{
    uint32_t n = nr_cur_le32(c), from = nr_cur_le32(c);
    uint32_t upto = nr_cur_le32(c), *of;
    size_t all;
    struct standing_segment *v;
    bool ok = true;

    if (c->err || n > nr_cur_left(c) / SEGMENT ||
        upto > s->values.n / sizeof(struct standing_value))
        return false;
    of = calloc((size_t)n + 1, sizeof(*of));
    if (!of) {
        c->err = NR_ENOMEM;
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t seq = nr_cur_le64(c), sum = nr_cur_le64(c);

        of[i] = open_segment(s, seq, sum, nr_cur_le64(c), from);
        ok = ok && of[i] != UINT32_MAX;
    }
    v = standing_segments(s, &all);
    for (uint32_t i = 0; ok && i < n && !s->segments.err; i++)
        v[of[i]].upto = upto;
    ok = ok && !s->segments.err && take_rows(s, c, of, n);
    free(of);
    return ok;
}

static bool
take_merged(struct nr_standing *s, struct nr_cur *c)
{
    uint64_t seq = nr_cur_le64(c), sum = nr_cur_le64(c);
    uint32_t to = open_segment(s, seq, sum, nr_cur_le64(c), 0), upto = 0;
    size_t n, n_rows;
    struct standing_segment *v = standing_segments(s, &n);
    struct standing_row *r = standing_rows(s, &n_rows);

    while (nr_cur_left(c) > 0 && !c->err && !s->segments.err) {
        uint32_t from = standing_find(s, nr_cur_le64(c));

        if (from == UINT32_MAX || from == to)
            return false;
        upto = v[from].upto;
        v[from].gone = true;
        for (size_t i = 0; i < n_rows; i++)
            if (r[i].segment == from)
                r[i].segment = to;
    }
    if (!s->segments.err)
        v[to].upto = upto;
    return !c->err;
}

bool
standing_take(struct nr_standing *s, struct nr_bytes body, enum nr_err *err)
{
    struct nr_cur c = nr_cur(body);
    uint8_t what = nr_cur_u8(&c);
    bool ok = false;

    if (what == 'V')
        ok = take_values(s, &c);
    else if (what == 'D')
        ok = take_dead(s, &c);
    else if (what == 'H')
        ok = take_asked(s, &c);
    else if (what == 'M')
        ok = take_merged(s, &c);
    *err = c.err == NR_ENOMEM || s->values.err || s->segments.err ||
            s->rows.err || s->days.err
        ? NR_ENOMEM
        : NR_OK;
    return ok;
}

/* --- the file --- */

static void
clear(struct nr_standing *s)
{
    nr_table_fini(&s->table);
    nr_table_init(&s->table, SEED);
    nr_table_fini(&s->by_seq);
    nr_table_init(&s->by_seq, SEED);
    nr_arena_reset(&s->arena);
    nr_buf_reset(&s->values);
    nr_buf_reset(&s->segments);
    nr_buf_reset(&s->rows);
    nr_buf_reset(&s->days);
    s->n_dead = 0;
    s->end = 0;
}

/* Take all whole records; s->end is where they end. */
static enum nr_err
take_file(struct nr_standing *s, struct nr_bytes in, struct nr_diag *d)
{
    struct nr_bytes head = NR_BYTES(STANDING_HEAD);
    enum nr_err err = NR_OK;

    clear(s);
    if (in.n < head.n && memcmp(in.p, head.p, in.n) == 0)
        return NR_OK; /* a crash while it was made */
    if (!nr_bytes_starts(in, head))
        return nr_fail_name(d, NR_EFORMAT,
            "standing: is no state of a standing hunt, or of another version",
            s->path);
    s->end = head.n;
    while (!err && in.n - s->end >= HEAD) {
        struct nr_cur c = nr_cur(nr_bytes_sub(in, s->end, in.n));
        uint32_t n = nr_cur_le32(&c);
        uint64_t sum = nr_cur_le64(&c);
        struct nr_bytes body = nr_cur_take(&c, n);

        if (c.err || n == 0 || nr_xxh64(body, 0) != sum ||
            !standing_take(s, body, &err))
            break;
        s->end += HEAD + n;
    }
    return err ? nr_fail(d, err, 0, "standing: no memory for its state")
               : NR_OK;
}

/* The file as a whole, and cut to what is whole of it. */
static enum nr_err
load(struct nr_standing *s, bool *cut, struct nr_diag *d)
{
    struct nr_arena a;
    struct nr_bytes in = { 0 };
    uint64_t end;
    enum nr_err err;

    nr_arena_init(&a, NR_STANDING_FILE_MAX + ((size_t)1 << 20));
    err = nr_file_read(&a, s->path, NR_STANDING_FILE_MAX, &in, d);
    if (!err)
        err = take_file(s, in, d);
    if (!err && s->end < in.n) {
        /* A record that was taken in part is in the tables: again, without. */
        end = s->end;
        err = take_file(s, nr_bytes_sub(in, 0, end), d);
        *cut = true;
    }
    nr_arena_fini(&a);
    if (err || !s->write)
        return err;
    if (*cut && ftruncate(s->fd, (off_t)s->end) != 0)
        return nr_fail_file(d, "standing: cut", s->path);
    if (s->end == 0) {
        err = nr_fd_write(s->fd, NR_BYTES(STANDING_HEAD), d);
        s->end = sizeof(STANDING_HEAD) - 1;
    }
    if (!err && lseek(s->fd, (off_t)s->end, SEEK_SET) < 0)
        err = nr_fail_file(d, "standing: seek", s->path);
    return err;
}

enum nr_err
nr_standing_open(const char *path, bool write, struct nr_standing **out,
    bool *cut, struct nr_diag *d)
{
    struct nr_standing *s = calloc(1, sizeof(*s));
    bool was_cut = false;
    enum nr_err err = NR_OK;

    if (!s)
        return nr_fail(d, NR_ENOMEM, 0, "standing: no memory");
    s->fd = -1;
    s->write = write;
    nr_arena_init(&s->arena, MEMORY);
    nr_table_init(&s->table, SEED);
    nr_table_init(&s->by_seq, SEED);
    nr_buf_init(&s->values, SIZE_MAX / 2);
    nr_buf_init(&s->segments, SIZE_MAX / 2);
    nr_buf_init(&s->rows, SIZE_MAX / 2);
    nr_buf_init(&s->days, SIZE_MAX / 2);
    if (strlen(path) >= sizeof(s->path))
        err = nr_fail_name(d, NR_ELIMIT, "path: too long", path);
    else
        memcpy(s->path, path, strlen(path) + 1);
    if (!err) {
        s->fd = open(path,
            write ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
        if (s->fd < 0)
            err = errno == ENOENT
                ? nr_fail_name(d, NR_ENOTFOUND, "standing: none", path)
                : nr_fail_file(d, "standing: open", path);
    }
    if (!err)
        err = load(s, &was_cut, d);
    if (cut)
        *cut = was_cut;
    if (err)
        nr_standing_close(s);
    else
        *out = s;
    return err;
}

void
nr_standing_close(struct nr_standing *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    nr_table_fini(&s->table);
    nr_table_fini(&s->by_seq);
    nr_arena_fini(&s->arena);
    nr_buf_fini(&s->values);
    nr_buf_fini(&s->segments);
    nr_buf_fini(&s->rows);
    nr_buf_fini(&s->days);
    free(s);
}

static void
put_record(struct nr_buf *b, struct nr_bytes body)
{
    nr_buf_put_le(b, body.n, 4);
    nr_buf_put_le(b, nr_xxh64(body, 0), 8);
    nr_buf_put(b, body);
}

enum nr_err
standing_append(struct nr_standing *s, struct nr_bytes body, struct nr_diag *d)
{
    struct nr_buf b;
    enum nr_err err = NR_OK;

    if (body.n > BODY_MAX || s->end + body.n + HEAD > NR_STANDING_FILE_MAX)
        return nr_fail_name(d, NR_ELIMIT, "standing: its state is too large",
            s->path);
    nr_buf_init(&b, BODY_MAX + HEAD);
    put_record(&b, body);
    if (b.err)
        err = nr_fail(d, NR_ENOMEM, 0, "standing: no memory");
    if (!err)
        err = nr_fd_write(s->fd, nr_buf_bytes(&b), d);
    if (!err && fdatasync(s->fd) != 0)
        err = nr_fail_file(d, "standing: sync", s->path);
    if (err) {
        /* What was written in part is cut off now or at the next open. */
        (void)!ftruncate(s->fd, (off_t)s->end);
        (void)lseek(s->fd, (off_t)s->end, SEEK_SET);
    } else {
        s->end += b.n;
        if (!standing_take(s, body, &err))
            err = err ? err : NR_EDAMAGED;
        if (err)
            err = nr_fail_name(d, err, "standing: cannot be taken", s->path);
    }
    nr_buf_fini(&b);
    return err;
}

/* --- anew --- */

/* The values that stand, renumbered into TO. */
static void
put_living(const struct nr_standing *s, uint32_t *to, struct nr_buf *out)
{
    struct nr_buf body;
    size_t n;
    const struct standing_value *v = standing_values(s, &n);
    uint32_t k = 0;

    nr_buf_init(&body, NR_STANDING_FILE_MAX);
    for (size_t i = 0; i < n; i++) {
        if (body.n == 0)
            nr_buf_put_c(&body, 'V');
        to[i] = v[i].dead ? UINT32_MAX : k++;
        if (!v[i].dead)
            standing_put_values(&body, &v[i]);
        if (body.n > BODY_MAX / 2 || (i + 1 == n && body.n > 1)) {
            put_record(out, nr_buf_bytes(&body));
            nr_buf_reset(&body);
        }
    }
    out->err = out->err ? out->err : body.err;
    nr_buf_fini(&body);
}

static int
by_segment(const void *a, const void *b)
{
    const struct standing_row *x = a, *y = b;

    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* A record for each segment, with its rows. TO: the values' new numbers. */
static void
put_segments(const struct nr_standing *s, const uint32_t *to,
    struct nr_buf *out)
{
    const int32_t *days = (const int32_t *)(const void *)s->days.p;
    struct nr_buf body;
    size_t n, n_rows, n_values, r = 0;
    const struct standing_segment *v = standing_segments(s, &n);
    struct standing_row *rows = standing_rows(s, &n_rows);

    (void)standing_values(s, &n_values);
    nr_buf_init(&body, NR_STANDING_FILE_MAX);
    if (n_rows > 1)
        qsort(rows, n_rows, sizeof(*rows), by_segment);
    for (size_t i = 0; i < n; i++) {
        uint32_t upto = 0;

        for (; r < n_rows && rows[r].segment < i; r++)
            continue;
        if (v[i].gone)
            continue;
        for (size_t k = 0; k < v[i].upto && k < n_values; k++)
            upto += to[k] != UINT32_MAX;
        nr_buf_reset(&body);
        nr_buf_put_c(&body, 'H');
        nr_buf_put_le(&body, 1, 4);
        nr_buf_put_le(&body, 0, 4);
        nr_buf_put_le(&body, upto, 4);
        standing_put_segment(&body, v[i].seq, v[i].sum, v[i].lines);
        for (; r < n_rows && rows[r].segment == i; r++) {
            struct standing_row x = rows[r];

            if (to[x.value] == UINT32_MAX)
                continue;
            x.segment = 0;
            x.value = to[x.value];
            standing_put_row(&body, &x, days + x.days);
        }
        put_record(out, nr_buf_bytes(&body));
    }
    out->err = out->err ? out->err : body.err;
    nr_buf_fini(&body);
}

enum nr_err
standing_rewrite(struct nr_standing *s, struct nr_diag *d)
{
    size_t n;
    struct nr_buf out;
    uint32_t *to;
    bool cut = false;
    int fd;
    enum nr_err err;

    (void)standing_values(s, &n);
    to = calloc(n + 1, sizeof(*to));
    if (!to)
        return nr_fail(d, NR_ENOMEM, 0, "standing: no memory");
    nr_buf_init(&out, NR_STANDING_FILE_MAX);
    nr_buf_put_str(&out, NR_STR(STANDING_HEAD));
    put_living(s, to, &out);
    put_segments(s, to, &out);
    free(to);
    err = out.err ? nr_fail(d, NR_ENOMEM, 0, "standing: no memory")
                  : nr_file_replace(s->path, nr_buf_bytes(&out), 0600, d);
    nr_buf_fini(&out);
    if (err)
        return err;
    fd = open(s->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return nr_fail_file(d, "standing: open", s->path);
    close(s->fd);
    s->fd = fd;
    return load(s, &cut, d);
}
