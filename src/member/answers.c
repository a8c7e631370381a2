#include "member/answers.h"

#include "member/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK       ((size_t)1 << 16)
#define LINE_MEMORY ((size_t)32 << 20) /* tree of one line */

static const char *const words[NR_ANSWER_WORDS] = { "seen", "denied",
    "not-seen", "cannot-say", "revoked" };

const char *
nr_answer_word(int i)
{
    return words[i];
}

int
nr_answer_word_index(struct nr_str word)
{
    for (int i = 0; i < NR_ANSWER_WORDS; i++)
        if (nr_str_eq(word, nr_str_of(words[i])))
            return i;
    return -1;
}

struct nr_known *
nr_answer_log_find(const struct nr_answer_log *log, struct nr_str id)
{
    uint64_t *at = id.n ? nr_table_get(&log->ids, nr_bytes_of(id)) : NULL;

    return at ? &log->v[*at] : NULL;
}

static struct nr_known *
find_or_add(struct nr_answer_log *log, struct nr_str id)
{
    struct nr_known *k = nr_answer_log_find(log, id);
    struct nr_known *v;
    char *copy;
    size_t cap;

    if (k)
        return k;
    if (log->n == log->cap) {
        cap = log->cap ? log->cap * 2 : 64;
        v = realloc(log->v, cap * sizeof(*v));
        if (!v)
            return NULL;
        log->v = v;
        log->cap = cap;
    }
    copy = nr_arena_text(&log->text, id);
    k = &log->v[log->n];
    *k = (struct nr_known){ .id = { copy, id.n }, .created_us = NR_TIME_NONE };
    if (!copy || !nr_table_put(&log->ids, nr_bytes_of(k->id), log->n, NULL))
        return NULL;
    log->n++;
    return k;
}

static bool
time_of(const struct nr_json *j, struct nr_str name, int64_t *us)
{
    struct nr_str text;

    return nr_json_get_str(j, name, &text) &&
        nr_rfc3339_parse(nr_bytes_of(text), us, NULL) == NR_OK;
}

/* One line, without its LF, that stands at AT. */
static enum nr_err
take_line(struct nr_answer_log *log, struct nr_arena *a, struct nr_bytes line,
    uint64_t at, struct nr_diag *d)
{
    struct nr_str id, word, item = { "", 0 };
    const struct nr_json *j = NULL;
    struct nr_known *k;
    int64_t version, time, n = 0, last = NR_TIME_NONE;
    int w = -1;

    nr_arena_reset(a);
    if (nr_json_parse(a, line, &j, NULL) ||
        !nr_json_get_str(j, NR_STR("indicator"), &id) || id.n == 0 ||
        !nr_json_get_str(j, NR_STR("answer"), &word) ||
        (w = nr_answer_word_index(word)) < 0 ||
        !time_of(j, NR_STR("version"), &version) ||
        !time_of(j, NR_STR("time"), &time))
        return nr_fail(d, NR_EDAMAGED, (size_t)at,
            "answers: a line that is no answer");
    (void)nr_json_get_i64(j, NR_STR("lines"), &n);
    (void)nr_json_get_i64(j, NR_STR("last"), &last);
    (void)nr_json_get_str(j, NR_STR("item"), &item);
    k = find_or_add(log, id);
    if (!k)
        return nr_fail(d, NR_ENOMEM, 0, "answers: no memory for the index");
    k->version_us = version;
    k->modified_us = time;
    if (k->created_us == NR_TIME_NONE)
        k->created_us = time;
    k->at = at;
    k->len = line.n + 1;
    k->lines = n > 0 ? (uint64_t)n : 0;
    k->last_s = last;
    k->word = (uint8_t)w;
    if (item.n > 0 && !nr_str_eq(item, nr_str_of(log->item))) {
        nr_copy_cut(log->item, sizeof(log->item), item);
        log->item_at = at;
    }
    return NR_OK;
}

/* Index the whole lines of IN, which stands at log->end, and move it on. */
static enum nr_err
take_lines(struct nr_answer_log *log, struct nr_bytes in, struct nr_diag *d)
{
    struct nr_arena a;
    enum nr_err err = NR_OK;

    nr_arena_init(&a, LINE_MEMORY);
    while (!err && in.n > 0) {
        const uint8_t *lf = memchr(in.p, '\n', in.n);
        size_t n = lf ? (size_t)(lf - in.p) : 0;

        if (!lf)
            break;
        err = take_line(log, &a, nr_bytes_sub(in, 0, n), log->end, d);
        if (err)
            break;
        log->end += n + 1;
        in = nr_bytes_sub(in, n + 1, in.n);
    }
    nr_arena_fini(&a);
    return err;
}

/* Read the file chunk by chunk: it grows for years. */
static enum nr_err
read_all(struct nr_answer_log *log, struct nr_diag *d)
{
    struct nr_buf b;
    enum nr_err err = NR_OK;

    nr_buf_init(&b, NR_ANSWER_LINE_MAX + CHUNK);
    while (!err) {
        size_t have = b.n;
        uint8_t *p = nr_buf_extend(&b, CHUNK);
        uint64_t end = log->end;
        ssize_t got;

        if (!p) {
            err = nr_fail(d, b.err, (size_t)end,
                "answers: a line longer than its limit");
            break;
        }
        got = pread(log->fd, p, CHUNK, (off_t)(end + have));
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0) {
            if (got < 0)
                err = nr_fail_sys(d, "answers: read");
            break;
        }
        b.n = have + (size_t)got;
        err = take_lines(log, nr_buf_bytes(&b), d);
        if (!err) {
            size_t used = (size_t)(log->end - end);

            memmove(b.p, b.p + used, b.n - used);
            b.n -= used;
        }
    }
    nr_buf_fini(&b);
    return err;
}

enum nr_err
nr_answer_log_open(const char *home, bool repair, struct nr_answer_log *log,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, home, NR_HOME_ANSWERS, d);

    *log = (struct nr_answer_log){ .fd = -1 };
    nr_arena_init(&log->text, NR_ANSWERS_MEMORY);
    nr_table_init(&log->ids, (uint64_t)getpid());
    if (err)
        return err;
    log->fd = open(path,
        repair ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    if (log->fd < 0 && errno == ENOENT && !repair)
        return NR_OK;
    if (log->fd < 0)
        return nr_fail_file(d, "answers: cannot be opened", path);
    err = read_all(log, d);
    if (!err && repair && ftruncate(log->fd, (off_t)log->end) != 0)
        err = nr_fail_sys(d, "answers: cannot be repaired");
    if (!err && repair)
        err = nr_dir_sync_of(path, d);
    if (err) {
        nr_diag_add_name(d, path);
        nr_answer_log_close(log);
    }
    return err;
}

void
nr_answer_log_close(struct nr_answer_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
    nr_table_fini(&log->ids);
    nr_arena_fini(&log->text);
    free(log->v);
    log->v = NULL;
    log->n = log->cap = 0;
}

enum nr_err
nr_answer_log_append(struct nr_answer_log *log, struct nr_bytes lines,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (lseek(log->fd, (off_t)log->end, SEEK_SET) < 0)
        return nr_fail_sys(d, "answers: seek");
    err = nr_fd_write(log->fd, lines, d);
    if (!err && fdatasync(log->fd) != 0)
        err = nr_fail_sys(d, "answers: sync");
    if (err) {
        /* What was written in part is taken off now or at the next start. */
        if (ftruncate(log->fd, (off_t)log->end) != 0)
            nr_diag_add_name(d, NR_HOME_ANSWERS " (and cannot be cut back)");
        return err;
    }
    return take_lines(log, lines, d);
}

enum nr_err
nr_answer_log_text(const struct nr_answer_log *log, struct nr_arena *a,
    uint64_t at, uint64_t n, struct nr_bytes *out, struct nr_diag *d)
{
    uint8_t *p = nr_new(a, uint8_t, n + 1);
    size_t have = 0;

    if (!p)
        return nr_fail(d, NR_ENOMEM, 0, "answers: no memory");
    while (have < n) {
        ssize_t got = pread(log->fd, p + have, n - have, (off_t)(at + have));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return nr_fail_sys(d, "answers: read");
        if (got == 0)
            return nr_fail(d, NR_EDAMAGED, (size_t)at,
                "answers: shorter than it was");
        have += (size_t)got;
    }
    *out = (struct nr_bytes){ p, n };
    return NR_OK;
}

enum nr_err
nr_answers_count(const char *home, struct nr_answer_counts *out,
    struct nr_diag *d)
{
    struct nr_answer_counts counts = { 0 };
    struct nr_answer_log log;
    enum nr_err err = nr_answer_log_open(home, false, &log, d);

    if (err)
        return err;
    for (size_t i = 0; i < log.n; i++)
        counts.n[log.v[i].word]++;
    nr_answer_log_close(&log);
    *out = counts;
    return NR_OK;
}
