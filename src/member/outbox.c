/* The outbox: a directory for each state, a file for each request. */
#include "member/member.h"
#include "member/private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SUFFIX ".json"

static const char *const boxes[NR_BOXES] = { "pending", "held", "sent",
    "dropped" };

const char *
nr_box_name(enum nr_box b)
{
    return boxes[b];
}

char *
nr_arena_text(struct nr_arena *a, struct nr_str s)
{
    char *p = nr_new(a, char, s.n + 1);

    if (p && s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

void
nr_text_cut(char *to, size_t size, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(to, size, fmt, ap);
    va_end(ap);
}

static bool
is_id(struct nr_str id)
{
    if (id.n == 0 || id.n >= NR_ITEM_ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        uint8_t c = (uint8_t)id.p[i];

        if (!nr_is_digit(c) && !nr_is_alpha(c) && c != '-')
            return false;
    }
    return true;
}

static enum nr_err
item_path(char *buf, const char *home, enum nr_box box, struct nr_str id,
    struct nr_diag *d)
{
    int n;

    if (!is_id(id))
        return nr_fail(d, NR_EFORMAT, 0,
            "outbox: an id is letters, digits and \"-\"");
    n = snprintf(buf, NR_PATH_MAX, "%s/" NR_HOME_OUTBOX "/%s/%.*s" SUFFIX, home,
        boxes[box], NR_FMT(id));
    if (n < 0 || (size_t)n >= NR_PATH_MAX)
        return nr_fail_name(d, NR_ELIMIT, "path: too long", home);
    return NR_OK;
}

enum nr_err
nr_outbox_find(const char *home, const char *id, enum nr_box *box,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];

    /* In this order an item cannot slip by: it only ever moves from pending
     * or held to a box that is looked into later, but for `outbox send`,
     * which moves held to pending: hence pending once more at the end. */
    static const enum nr_box order[] = { NR_BOX_PENDING, NR_BOX_HELD,
        NR_BOX_PENDING, NR_BOX_SENT, NR_BOX_DROPPED };

    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        enum nr_err err = item_path(path, home, order[i], nr_str_of(id), d);

        if (err)
            return err;
        if (access(path, F_OK) == 0) {
            *box = order[i];
            return NR_OK;
        }
        if (errno != ENOENT)
            return nr_fail_file(d, "outbox: cannot be read", path);
    }
    return nr_fail_name(d, NR_ENOTFOUND, "outbox: no such item", id);
}

enum nr_err
nr_outbox_put(const char *home, enum nr_box box, const struct nr_item *item,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX], id[NR_ITEM_ID_MAX];
    struct nr_json_out o;
    struct nr_buf b;
    enum nr_box in;
    enum nr_err err = item_path(path, home, box, item->id, d);

    if (err)
        return err;
    nr_copy_cut(id, sizeof(id), item->id);
    err = nr_outbox_find(home, id, &in, NULL);
    if (err != NR_ENOTFOUND)
        return err ? nr_fail_file(d, "outbox: cannot be read", path) : NR_OK;
    nr_buf_init(&b, NR_ITEM_MAX);
    nr_json_out_init(&o, &b);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("kind"), item->kind);
    nr_json_member_str(&o, NR_STR("id"), item->id);
    nr_json_member_str(&o, NR_STR("method"), item->method);
    nr_json_member_str(&o, NR_STR("path"), item->path);
    nr_json_key(&o, NR_STR("body"));
    nr_json_put_raw(&o, item->body);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(&b, '\n');
    if (!err)
        err = b.err;
    if (err)
        err = nr_fail_name(d, err, "outbox: the item cannot be written", id);
    else
        err = nr_file_replace(path, nr_buf_bytes(&b), 0600, d);
    nr_buf_fini(&b);
    return err;
}

enum nr_err
nr_outbox_list(struct nr_arena *a, const char *home, enum nr_box box,
    struct nr_names *out, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_names all;
    size_t n = 0;
    int len = snprintf(path, sizeof(path), "%s/" NR_HOME_OUTBOX "/%s", home,
        boxes[box]);
    enum nr_err err;

    if (len < 0 || (size_t)len >= sizeof(path))
        return nr_fail_name(d, NR_ELIMIT, "path: too long", home);
    err = nr_dir_list(a, path, NR_BOX_MAX, &all, d);
    if (err)
        return err;
    for (size_t i = 0; i < all.n; i++) {
        struct nr_str s = nr_str_of(all.v[i]);
        size_t tail = sizeof(SUFFIX) - 1;
        char *id;

        /* Temporary files of a write in progress are not items. */
        if (s.n <= tail || memcmp(s.p + s.n - tail, SUFFIX, tail) != 0)
            continue;
        s.n -= tail;
        if (!is_id(s))
            continue;
        id = nr_arena_text(a, s);
        if (!id)
            return nr_fail(d, NR_ENOMEM, 0, "outbox: no memory");
        all.v[n++] = id;
    }
    *out = (struct nr_names){ all.v, n };
    return NR_OK;
}

static bool
take_item(const struct nr_json *j, struct nr_bytes in, const char *id,
    struct nr_item *out)
{
    const struct nr_json *body = nr_json_get(j, NR_STR("body"));

    if (!body || !nr_json_get_str(j, NR_STR("kind"), &out->kind) ||
        !nr_json_get_str(j, NR_STR("id"), &out->id) ||
        !nr_json_get_str(j, NR_STR("method"), &out->method) ||
        !nr_json_get_str(j, NR_STR("path"), &out->path))
        return false;
    out->body = nr_json_span(in, body);
    return nr_str_eq(out->id, nr_str_of(id)) && out->path.n > 0 &&
        out->path.p[0] == '/' && nr_str_eq(out->method, NR_STR("POST"));
}

enum nr_err
nr_outbox_read(struct nr_arena *a, const char *home, enum nr_box box,
    const char *id, struct nr_item *out, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    const struct nr_json *j = NULL;
    struct nr_item item = { 0 };
    struct nr_bytes in = { 0 };
    enum nr_err err = item_path(path, home, box, nr_str_of(id), d);

    if (!err)
        err = nr_file_read(a, path, NR_ITEM_MAX, &in, d);
    if (!err &&
        (nr_json_parse(a, in, &j, NULL) != NR_OK ||
            !take_item(j, in, id, &item)))
        err = nr_fail_name(d, NR_EDAMAGED, "outbox: not an item", path);
    if (!err)
        *out = item;
    return err;
}

enum nr_err
nr_outbox_move(const char *home, const char *id, enum nr_box from,
    enum nr_box to, struct nr_diag *d)
{
    char a[NR_PATH_MAX], b[NR_PATH_MAX];
    enum nr_err err = item_path(a, home, from, nr_str_of(id), d);

    if (!err)
        err = item_path(b, home, to, nr_str_of(id), d);
    if (err)
        return err;
    if (rename(a, b) != 0)
        return errno == ENOENT
            ? nr_fail_name(d, NR_ENOTFOUND, "outbox: no such item", id)
            : nr_fail_file(d, "outbox: cannot be moved", a);
    err = nr_dir_sync_of(b, d);
    if (!err)
        err = nr_dir_sync_of(a, d);
    return err;
}
