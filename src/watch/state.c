/*
 * The state file: what was delivered of which file.
 *
 *   "NRWS", version (4), lines delivered (8), octets of EXTRA (8), files (4),
 *   EXTRA, then for each file: dev (8), ino (8), at (8), lines (8), mtime in ns
 *   (8), done size (8), octets of head (4), their XXH3-64 (8), flags (1), hash
 *   of the first line (16), state of the log (NR_LOGFILE_STATE), name (4 + n),
 *   path (4 + n), cursor (4 + n; n may be 0); at the end XXH3-64 of all before (8). Little endian.
 */
#include "watch/engine.h"

#include "base/arena.h"
#include "base/cur.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/num.h"

#include <fcntl.h>
#include <stdlib.h>

#define VERSION   1u
#define SUM_LEN   ((size_t)8)
#define STATE_MAX ((size_t)1 << 30)
#define MODE      0600

enum flag { CURRENT = 1, FLAT = 2, FIRST = 4, LOG = 8, FED = 16 };

static const char magic[4] = { 'N', 'R', 'W', 'S' };

/* --- writing --- */

static void
put_text(struct nr_buf *b, const char *s)
{
    nr_buf_put_le(b, strlen(s), 4);
    nr_buf_put(b, (struct nr_bytes){ (const uint8_t *)s, strlen(s) });
}

static void
put_file(struct nr_buf *b, struct file *f)
{
    size_t n = nr_min(f->mark.head_n, f->at);
    /* a first line of which nothing was delivered may be another one by then */
    unsigned flags = (f->current ? CURRENT : 0u) | (f->plain_mode ? FLAT : 0u) |
        (f->has_first && f->at > 0 ? FIRST : 0u) | (f->fed ? FED : 0u);

    if (f->log) {
        nr_logfile_save(f->log, f->log_state);
        f->has_state = true;
    }
    flags |= f->has_state ? LOG : 0u;
    nr_buf_put_le(b, f->mark.dev, 8);
    nr_buf_put_le(b, f->mark.ino, 8);
    nr_buf_put_le(b, f->at, 8);
    nr_buf_put_le(b, f->lines, 8);
    nr_buf_put_le(b, f->seen_mtime, 8);
    /* its end may have been read, and not delivered */
    nr_buf_put_le(b, f->inflight ? UINT64_MAX : f->done_size, 8);
    nr_buf_put_le(b, n, 4);
    nr_buf_put_le(b, nr_mark_hash(&f->mark, n), 8);
    nr_buf_put_le(b, flags, 1);
    nr_buf_put(b, (struct nr_bytes){ f->first, ID_N });
    nr_buf_put(b, (struct nr_bytes){ f->log_state, NR_LOGFILE_STATE });
    put_text(b, f->name);
    put_text(b, f->path);
    put_text(b, f->cursor ? f->cursor : "");
}

/* Not while a line is told in part: its place in the file is its start. */
static bool
is_mid_line(const struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_files; i++)
        if (w->files[i]->mid_line)
            return true;
    return false;
}

static bool
is_kept(const struct file *f)
{
    return f->mark.ino != 0 || f->mark.head_n > 0 || f->cursor;
}

enum nr_err
nr_state_encode(struct nr_watch *w, struct nr_buf *b)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&w->known_lock);
    for (size_t i = 0; i < w->n_files; i++)
        n += is_kept(w->files[i]);
    nr_buf_put(b, (struct nr_bytes){ (const uint8_t *)magic, sizeof(magic) });
    nr_buf_put_le(b, VERSION, 4);
    nr_buf_put_le(b, w->lines, 8);
    nr_buf_put_le(b, w->extra.n, 8);
    nr_buf_put_le(b, n, 4);
    nr_buf_put(b, nr_buf_bytes(&w->extra));
    for (size_t i = 0; i < w->n_files; i++)
        if (is_kept(w->files[i]))
            put_file(b, w->files[i]);
    (void)pthread_mutex_unlock(&w->known_lock);
    nr_buf_put_le(b, nr_xxh64(nr_buf_bytes(b), 0), SUM_LEN);
    return b->err;
}

enum nr_err
nr_state_save(struct nr_watch *w, struct nr_diag *d)
{
    struct nr_buf b;
    enum nr_err err = NR_OK;
    bool mid;

    (void)pthread_mutex_lock(&w->known_lock);
    mid = is_mid_line(w);
    (void)pthread_mutex_unlock(&w->known_lock);
    if (mid && !w->read_end)
        return NR_EBUSY;
    nr_buf_reset(&w->extra);
    if (w->conf.mark)
        err = w->conf.mark(w->conf.ctx, &w->extra, d);
    if (err)
        return err;
    if (w->extra.err)
        return nr_fail(d, w->extra.err, 0, "watch: state of the output");
    nr_buf_init(&b, STATE_MAX);
    err = nr_state_encode(w, &b);
    if (err)
        (void)nr_fail_name(d, err, "watch: state", w->conf.state);
    else
        err = nr_file_replace(w->conf.state, nr_buf_bytes(&b), MODE, d);
    nr_buf_fini(&b);
    if (!err)
        w->saves++;
    return err;
}

/* --- reading --- */

static char *
take_text(struct nr_cur *c, size_t max, bool may_lack)
{
    struct nr_bytes b = nr_cur_take(c, nr_cur_le32(c));
    char *s;

    if (c->err || (may_lack && b.n == 0))
        return NULL;
    if (b.n == 0 || b.n >= max || memchr(b.p, '\0', b.n)) {
        c->err = NR_EFORMAT;
        return NULL;
    }
    s = strndup((const char *)b.p, b.n);
    if (!s)
        c->err = NR_ENOMEM;
    return s;
}

static enum nr_err
take_file(struct nr_watch *w, struct nr_cur *c, struct nr_diag *d)
{
    struct file in = { 0 }, *f;
    struct nr_bytes first, log;
    unsigned flags;
    enum nr_err err;

    in.mark.dev = nr_cur_le64(c);
    in.mark.ino = nr_cur_le64(c);
    in.read_at = nr_cur_le64(c);
    in.lines = nr_cur_le64(c);
    in.seen_mtime = nr_cur_le64(c);
    in.done_size = nr_cur_le64(c);
    in.mark.head_n = nr_cur_le32(c);
    in.mark.head_hash = nr_cur_le64(c);
    flags = nr_cur_u8(c);
    first = nr_cur_take(c, ID_N);
    log = nr_cur_take(c, NR_LOGFILE_STATE);
    in.name = take_text(c, NR_PATH_MAX, false);
    in.path = take_text(c, NR_PATH_MAX, false);
    in.cursor = take_text(c, NR_WATCH_CURSOR_MAX, true);
    if (!c->err &&
        (in.mark.head_n > NR_WATCH_HEAD_MAX || in.mark.head_n > in.read_at))
        c->err = NR_EFORMAT;
    err = c->err;
    f = err ? NULL : nr_file_add(w, in.path, d);
    if (!f) {
        free(in.name);
        free(in.path);
        free(in.cursor);
        return err ? err : NR_ENOMEM;
    }
    free(f->name);
    f->name = in.name;
    free(in.path);
    f->cursor = in.cursor;
    f->fed = f->stream = flags & FED;
    f->mark = in.mark;
    f->read_at = in.read_at;
    f->at = in.read_at;
    f->lines = in.lines;
    f->seen_mtime = in.seen_mtime;
    f->done_size = in.done_size;
    f->current = flags & CURRENT;
    f->plain_mode = flags & FLAT;
    f->has_first = flags & FIRST;
    f->has_state = flags & LOG;
    f->unopened = f->read_at == 0;
    memcpy(f->first, first.p, ID_N);
    memcpy(f->log_state, log.p, NR_LOGFILE_STATE);
    return NR_OK;
}

enum nr_err
nr_state_decode(struct nr_watch *w, struct nr_bytes in, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(in);
    struct nr_bytes body = { in.p, in.n < SUM_LEN ? 0 : in.n - SUM_LEN };
    struct nr_cur sum = { in.p + body.n, in.p + in.n, NR_OK };
    struct nr_bytes extra;
    uint64_t extra_n;
    uint32_t n;
    enum nr_err err = NR_OK;

    if (!nr_bytes_starts(in,
            (struct nr_bytes){ (const uint8_t *)magic, sizeof(magic) }))
        return nr_fail_name(d, NR_EFORMAT,
            "watch: is no state file of noroshi watch", w->conf.state);
    (void)nr_cur_take(&c, sizeof(magic));
    if (nr_cur_le32(&c) != VERSION && !c.err)
        return nr_fail_name(d, NR_EFORMAT,
            "watch: state of another version of noroshi; remove it to begin "
            "anew",
            w->conf.state);
    if (nr_xxh64(body, 0) != nr_cur_le64(&sum) || sum.err)
        return nr_fail_name(d, NR_EDAMAGED,
            "watch: state is damaged; remove it to begin anew", w->conf.state);
    c.end = body.p + body.n;
    w->lines = nr_cur_le64(&c);
    extra_n = nr_cur_le64(&c);
    n = nr_cur_le32(&c);
    extra = nr_cur_take(&c, extra_n <= SIZE_MAX ? (size_t)extra_n : SIZE_MAX);
    for (uint32_t i = 0; i < n && !err && !c.err; i++)
        err = take_file(w, &c, d);
    if (err || c.err || nr_cur_left(&c) > 0)
        return nr_fail_name(d, err == NR_ENOMEM ? err : NR_EDAMAGED,
            "watch: state is damaged; remove it to begin anew", w->conf.state);
    nr_buf_put(&w->extra, extra);
    return w->extra.err
        ? nr_fail_name(d, w->extra.err, "watch: state", w->conf.state)
        : NR_OK;
}

enum nr_err
nr_state_load(struct nr_watch *w, struct nr_diag *d)
{
    struct nr_arena a;
    struct nr_bytes in = { 0 };
    struct nr_buf lock;
    const char *path;
    enum nr_err err;

    nr_arena_init(&a, 2 * STATE_MAX);
    nr_buf_init(&lock, NR_PATH_MAX);
    nr_buf_printf(&lock, "%s.lock", w->conf.state);
    path = nr_buf_cstr(&lock);
    err = path
        ? nr_file_lock(path, &w->lock_fd, d)
        : nr_fail_name(d, NR_ELIMIT, "watch: path is too long", w->conf.state);
    nr_buf_fini(&lock);
    if (!err) {
        err = nr_file_read(&a, w->conf.state, STATE_MAX, &in, NULL);
        if (err == NR_ENOTFOUND) {
            nr_arena_fini(&a);
            return NR_OK;
        }
        if (err)
            (void)nr_fail_name(d, err, "watch: state cannot be read",
                w->conf.state);
    }
    if (!err)
        err = nr_state_decode(w, in, d);
    if (!err && w->conf.cut)
        err = w->conf.cut(w->conf.ctx, nr_buf_bytes(&w->extra), d);
    nr_arena_fini(&a);
    return err;
}

/* --- one cursor --- */

static const char *
cursor_of(const struct nr_watch *w, const char *name)
{
    for (size_t i = 0; i < w->n_files; i++) {
        const struct file *f = w->files[i];

        if (f->fed && f->cursor && strcmp(f->name, name) == 0)
            return f->cursor;
    }
    return "";
}

enum nr_err
nr_watch_state_cursor(const char *state, const char *name, char *cursor,
    size_t n, struct nr_diag *d)
{
    struct nr_watch *w = calloc(1, sizeof(*w));
    struct nr_bytes in = { 0 };
    struct nr_arena a;
    enum nr_err err;

    cursor[0] = '\0';
    if (!w)
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    w->conf.state = state;
    (void)pthread_mutex_init(&w->known_lock, NULL);
    nr_buf_init(&w->extra, NR_WATCH_EXTRA_MAX);
    nr_arena_init(&a, 2 * STATE_MAX);
    err = nr_file_read(&a, state, STATE_MAX, &in, NULL);
    if (err && err != NR_ENOTFOUND)
        (void)nr_fail_name(d, err, "watch: state cannot be read", state);
    if (!err)
        err = nr_state_decode(w, in, d);
    if (!err) {
        const char *found = cursor_of(w, name);

        if (strlen(found) < n)
            memcpy(cursor, found, strlen(found) + 1);
    }
    nr_arena_fini(&a);
    nr_buf_fini(&w->extra);
    for (size_t i = 0; i < w->n_files; i++)
        nr_file_free(w->files[i]);
    free(w->files);
    (void)pthread_mutex_destroy(&w->known_lock);
    free(w);
    return err == NR_ENOTFOUND ? NR_OK : err;
}
